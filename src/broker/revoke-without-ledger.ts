// Ends credentials from audit records alone, with no ledger and no queue: for when those are gone and an operator will not wait.
// What is said of each is what was seen, as in a receipt.
import type { LeaseRecord, Receipt } from '../ledger/lease.js'
import type { LostLease } from '../ledger/restoration.js'
import type { Sealing } from '../ledger/sealing.js'
import { type Handle, type Provider, ProviderError } from '../providers/provider.js'
import { accessRanks } from './access-ranks.js'

export interface RevokedLease {
  readonly lease: LostLease
  readonly outcome: Receipt['outcome']
  readonly evidence: Receipt['evidence']
  /** Why it is not confirmed; never a secret. */
  readonly why?: string
}

export interface RevokeParts {
  readonly providers: ReadonlyMap<string, Provider>
  readonly sealing: Sealing
  readonly now: () => number
}

const tries = 3
const atOnce = 16

/** The most privileged first. Never throws for what a provider does; `ended` is told of each as it is known. */
export async function revokeWithoutLedger(
  parts: RevokeParts,
  leases: readonly LostLease[],
  ended: (revoked: RevokedLease) => Promise<void>,
): Promise<void> {
  const rest = [...leases].sort((a, b) => rankOf(a.record) - rankOf(b.record))
  const workThrough = async () => {
    for (let lease = rest.shift(); lease; lease = rest.shift()) await ended(await revokePersistently(parts, lease))
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, rest.length) }, workThrough))
}

const rankOf = (record: LeaseRecord) => accessRanks.indexOf(record.access)

async function revokePersistently(parts: RevokeParts, lease: LostLease): Promise<RevokedLease> {
  for (let attempt = 1; ; attempt++) {
    const revoked = await revokeOnce(parts, lease)
    const again = revoked.outcome === 'failed' || revoked.outcome === 'pending'
    if (!again || attempt >= tries) return revoked
    await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** attempt))
  }
}

async function revokeOnce({ providers, sealing, now }: RevokeParts, lease: LostLease): Promise<RevokedLease> {
  const { record } = lease
  try {
    const provider = providers.get(record.provider)
    if (!provider) throw new ProviderError('permanent', `the provider ${record.provider} is not configured`)
    const handle = lease.issued
      ? sealing.unseal(lease.issued.sealedHandle, lease.id, provider.name)
      : await provider.findByMark(record.mark, { notesLost: true })
    if (handle === 'nothing') return { lease, outcome: 'confirmed', evidence: 'gone_at_provider' }
    if (handle === 'unknown')
      return { lease, outcome: 'pending', evidence: 'none', why: 'nothing was found by its mark yet' }
    return await endAndLook(provider, handle, lease, now())
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { lease, outcome: 'failed', evidence: 'none', why }
  }
}

async function endAndLook(provider: Provider, handle: Handle, lease: LostLease, now: number): Promise<RevokedLease> {
  const { revocation } = lease.record
  let impossible = false
  try {
    await provider.revoke(handle, lease.expiresAt, { forced: true })
  } catch (error) {
    impossible = error instanceof ProviderError && error.kind === 'permanent' && revocation === 'natural_expiry'
    if (!impossible) throw error
  }
  if (revocation === 'standing') return { lease, outcome: 'not_revocable', evidence: 'none' }
  if ((await provider.probe(handle)) === 'dead') return { lease, outcome: 'confirmed', evidence: 'probe_dead' }
  if (impossible) return { lease, outcome: 'expires_at', evidence: 'none' }
  const why = now >= lease.expiresAt ? 'past its end, but not seen dead' : 'revoked, but not seen dead yet'
  return { lease, outcome: 'pending', evidence: 'none', why }
}
