// `recover --revoke-now`: everything that the records say may be alive is ended at its provider. Needs the configuration, the
// keys and the audit files; no Redis, no broker.
import type { AuditRecord } from '../audit/record.js'
import type { ProjectedLease } from '../broker/projected-lease.js'
import { type RevokedLease, revokeWithoutLedger } from '../broker/revoke-without-ledger.js'
import { exitCodes } from '../cli/exit-codes.js'
import { formatTable } from '../cli/output.js'
import { createProviders } from '../compose/providers.js'
import type { Settings } from '../config/schema.js'
import { systemClock, toTimestamp } from '../core/clock.js'
import { createSealing } from '../ledger/sealing.js'
import { openFileKeyset } from '../signing/file-keyset.js'
import type { CommandOutput } from './command-output.js'
import { withLocalAudit } from './local-audit.js'

/** Prints a receipt of each. Returns the exit code: 0, or 7 when one failed. */
export async function revokeFromAudit(
  settings: Settings,
  found: readonly ProjectedLease[],
  output: CommandOutput,
): Promise<number> {
  const keyset = await openFileKeyset({ directory: settings.keys.directory })
  const providers = await createProviders({
    settings,
    clock: systemClock,
    keyset,
    // Tokens that are verified by introspection live in the ledger alone: without one nobody can say that they are dead.
    isActive: () => Promise.reject(new Error('there is no ledger')),
    lockRole: (_key, work) => work(),
  })
  const receipts: RevokedLease[] = []
  try {
    const parts = { providers, sealing: createSealing(settings.keys.sealing, settings.issuer), now: systemClock.now }
    await revokeWithoutLedger(
      parts,
      found.map(({ lost }) => lost),
      async (revoked) => {
        receipts.push(revoked)
      },
    )
  } finally {
    await Promise.all([...providers.values()].map((provider) => provider.close()))
    keyset.close()
  }
  await record(settings, receipts, output)
  output.print({ receipts: receipts.map(receiptOf) }, describe(receipts))
  return receipts.some(({ outcome }) => outcome === 'failed') ? exitCodes.revocationFailed : exitCodes.done
}

/** Only what was seen dead has ended. Of the rest the order stands: the ledger that is rebuilt must not bring it back as alive. */
async function record(settings: Settings, receipts: readonly RevokedLease[], output: CommandOutput): Promise<void> {
  if (receipts.length === 0) return
  const at = toTimestamp(systemClock.now())
  await withLocalAudit(settings, output, (audit) => Promise.all(receipts.map((one) => audit.append(recordOf(one, at)))))
}

function recordOf({ lease, outcome, evidence }: RevokedLease, at: string): AuditRecord {
  const { principal, account, task, provider } = lease.record
  const whose = { principal, account, task, lease: lease.id, actor: 'local:recover' }
  if (outcome !== 'confirmed' && outcome !== 'not_revocable') {
    return { event: 'lease.ending', ...whose, reason: 'revoked' }
  }
  const state = outcome === 'confirmed' ? 'revoked' : 'released'
  const receipt = { outcome, evidence, at }
  return { event: 'lease.ended', ...whose, provider, state, end_reason: 'revoked', receipt }
}

const receiptOf = ({ lease, outcome, evidence, why }: RevokedLease) => ({
  lease_id: lease.id,
  provider: lease.record.provider,
  resource: lease.record.resource,
  outcome,
  evidence,
  expires_at: toTimestamp(lease.expiresAt),
  sessions: lease.record.sessions,
  ...(why === undefined ? {} : { why }),
})

function describe(receipts: readonly RevokedLease[]): string {
  if (receipts.length === 0) return 'no leases may be alive'
  const rows = receipts.map(receiptOf)
  const cells = rows.map((one) => [
    one.lease_id,
    one.provider,
    one.outcome,
    one.evidence,
    one.expires_at,
    one.why ?? '',
  ])
  return formatTable([['LEASE', 'PROVIDER', 'OUTCOME', 'EVIDENCE', 'EXPIRES', ''], ...cells])
}
