// The credential is there: lease active in the ledger and issued in the audit, both, or it is ended and nobody gets it.
import { unpatternedSecrets } from '../audit/redaction.js'
import { BrokerError } from '../core/errors.js'
import { sha256Hex } from '../core/hash.js'
import type { Lease } from '../ledger/lease.js'
import type { Ending } from '../ledger/ledger.js'
import { lockTargets } from '../ledger/lock-names.js'
import type { ActivateAnswer, Activation } from '../ledger/way-out.js'
import type { Issued } from '../providers/provider.js'
import { endLeases } from './end-leases.js'
import { lockedBy } from './locked-by.js'
import type { Caller, Parts } from './parts.js'
import { recordEnding, recordIssued } from './records.js'
import type { Reserved } from './reserve.js'

/** Throws `task_closed`, `locked`, `provider_unavailable` (too late), `audit_unavailable`, `ledger_unavailable`. */
export async function activateOrEnd(parts: Parts, caller: Caller, reserved: Reserved, issued: Issued): Promise<Lease> {
  const { toIssue, record } = reserved
  try {
    const sealedHandle = parts.sealing.seal(issued.handle, toIssue.id, record.provider)
    const { providerExpiresAt, providerRef } = issued
    const activation = {
      sealedHandle,
      providerExpiresAt,
      providerRef,
      fingerprints: issued.fingerprintOf.map(sha256Hex),
    }
    const secretDigests = digestsOf(parts, issued)
    const [answer] = await allOrThrow([
      activateForSure(parts, reserved, activation),
      allOrThrow([
        recordIssued(parts, caller, reserved, issued, { sealedHandle, secretDigests }),
        secretDigests.length > 0 ? parts.ledger.noteSecrets(toIssue.taskId, secretDigests) : Promise.resolve(),
      ]),
    ])
    if (answer.outcome === 'locked') throw await lockedBy(parts, lockTargets({ id: toIssue.id, record }))
    if (answer.outcome !== 'ok') throw notActivated(answer.outcome)
    parts.metrics.leasesIssued.inc({ provider: record.provider })
    return activeLease(reserved, activation, answer.issuedAt)
  } catch (error) {
    await endUnshown(parts, caller, reserved)
    throw error
  }
}

/** Beside the record's flush. A replica has it, too: after a fail-over the new primary knows what somebody holds. */
async function activateForSure({ ledger }: Parts, { toIssue, record }: Reserved, activation: Activation) {
  const answer = await ledger.activate(toIssue.id, activation, lockTargets({ id: toIssue.id, record }))
  if (answer.outcome === 'ok') await ledger.waitReplicated(toIssue.id, 'activated')
  return answer
}

const unshown: Ending = { reason: 'mint_failed', actor: 'broker', mintOver: true }

/**
 * Nobody has the credential, yet the audit may say that it was issued. A ledger rebuilt from records must not bring it back as
 * alive: so the order to end it is recorded, too, unless somebody else's order is.
 */
async function endUnshown(parts: Parts, caller: Caller, { toIssue, record }: Reserved): Promise<void> {
  const { id } = toIssue
  const isOnRecord = async () => {
    const ordered = await endLeases(parts, [id], unshown)
    return ordered.length === 0 && (await parts.ledger.findLease(id)) !== null
  }
  const isAnothers = await isOnRecord().catch(() => {
    // The reservation's due time stands: the sweeper ends it.
    parts.log.error({ lease: id }, 'the lease of a credential that was not handed out waits for the sweeper')
    return false
  })
  const { principal, account, task } = record
  if (!isAnothers) await recordEnding(parts, [{ id, principal, account, task }], unshown, caller.requestId)
}

/** So that a secret is known again in what the caller reports, where no pattern would find it. */
const digestsOf = (parts: Parts, { credential }: Issued): string[] =>
  unpatternedSecrets(credential).flatMap((secret) => parts.sealing.digestsOf(secret).slice(0, 1))

/** Waits for both, so that neither is still under way when the lease is ended, then throws the first failure. */
async function allOrThrow<A, B>(work: [Promise<A>, Promise<B>]): Promise<[A, B]> {
  const [a, b] = await Promise.allSettled(work)
  if (a.status === 'rejected') throw a.reason
  if (b.status === 'rejected') throw b.reason
  return [a.value, b.value]
}

/** Why a credential that is there, or half there, is not handed out. */
export function notActivated(outcome: Exclude<ActivateAnswer['outcome'], 'ok' | 'locked'>): BrokerError {
  switch (outcome) {
    case 'closed':
      return new BrokerError('task_closed', 'the task ended while its credential was being minted')
    default:
      return new BrokerError('provider_unavailable', 'the provider answered too late; ask again', {
        retryAfterSeconds: 1,
      })
  }
}

function activeLease(
  { toIssue, record }: Reserved,
  activation: { providerExpiresAt: number; providerRef: string; fingerprints: readonly string[]; sealedHandle: string },
  issuedAt: number,
): Lease {
  return {
    id: toIssue.id,
    record,
    state: 'active',
    expiresAt: toIssue.deadline,
    issuedAt,
    ...activation,
    endReason: null,
    endActor: null,
    endedAt: null,
    receipt: null,
    attempts: 0,
    forced: false,
  }
}
