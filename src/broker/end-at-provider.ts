// One attempt to end a credential where it lives, and what may honestly be said of it afterwards.
import type { Lease, Receipt } from '../ledger/lease.js'
import type { ClaimAnswer, Settlement } from '../ledger/ledger.js'
import { type Handle, type Provider, ProviderError } from '../providers/provider.js'
import type { Parts } from './parts.js'

type Claimed = Extract<ClaimAnswer, { outcome: 'ok' }>

/** After the natural end a provider gets this long to agree before only the time is left as evidence. */
export const graceMs = 60_000
/** When to search again where nothing was found by a mark, and the provider's search proves nothing. */
const searchAgainMs = [10_000, 30_000, 90_000]

/**
 * Never throws for what the provider does; a lease is settled after every attempt. While the provider's breaker is open it is
 * not asked, and that is no attempt.
 */
export async function endAtProvider(parts: Parts, claimed: Claimed): Promise<Settlement> {
  const { lease, now } = claimed
  const provider = parts.providers.get(lease.record.provider)
  // It can only expire: until it does there is nothing to ask the provider.
  if (isLeftToItsEnd(lease, now)) return waitForNaturalEnd(lease, now)
  const breaker = parts.breakers.revoke(lease.record.provider)
  const pass = breaker.enter()
  if (pass === null) return putOff(lease, now, breaker.waitMs())
  try {
    if (!provider)
      throw new ProviderError('permanent', `the provider ${lease.record.provider} is not configured any more`)
    const settlement = await askProvider(parts, provider, lease, now)
    pass.answered()
    return settlement
  } catch (error) {
    if (error instanceof ProviderError && error.kind === 'unavailable') pass.unanswered()
    else pass.withdrawn()
    return failedAttempt(parts, lease, now, error)
  }
}

async function askProvider(parts: Parts, provider: Provider, lease: Lease, now: number): Promise<Settlement> {
  const handle = await resolveHandle(parts, provider, lease)
  if (handle === 'nothing') return ended('void', 'confirmed', 'gone_at_provider', now)
  if (handle === 'unknown') return searchAgain(lease, now)
  return await endCredential(provider, handle, lease, now)
}

/** A credential that can only expire, and whose handle is known, so that it can be probed then. */
const isLeftToItsEnd = (lease: Lease, now: number) =>
  lease.record.revocation === 'natural_expiry' && lease.sealedHandle !== null && now < lease.expiresAt && !lease.forced

/** The breaker is open: the lease is looked at again when the provider may be asked, and this look does not count as an attempt. */
function putOff(lease: Lease, now: number, waitMs: number): Settlement {
  if (now >= lease.expiresAt + graceMs) return endedByTime(lease, now)
  // Spread, so that not all that waited comes back at one moment.
  const lookAt = now + waitMs + Math.random() * 1000
  return {
    state: lease.state === 'failed' ? 'failed' : 'revoking',
    receipt: lease.receipt ?? { outcome: 'pending', evidence: 'none', at: now },
    lookAt: now < lease.expiresAt ? lookAt : Math.min(lookAt, lease.expiresAt + graceMs),
    uncounted: true,
  }
}

async function resolveHandle(parts: Parts, provider: Provider, lease: Lease): Promise<Handle | 'nothing' | 'unknown'> {
  if (lease.sealedHandle !== null) return parts.sealing.unseal(lease.sealedHandle, lease.id, provider.name)
  return await provider.findByMark(lease.record.mark, { notesLost: lease.notesLost === true })
}

async function endCredential(provider: Provider, handle: Handle, lease: Lease, now: number): Promise<Settlement> {
  const { revocation } = lease.record
  const natural = now >= lease.expiresAt
  if (revocation === 'natural_expiry' && !natural && !lease.forced) return waitForNaturalEnd(lease, now)
  const answer = await revokeIfPossible(provider, handle, lease)
  if (answer === 'impossible' && !natural) return waitForNaturalEnd(lease, now)
  // A copy of a standing secret stays good whatever we do: the receipt says so.
  if (revocation === 'standing') return ended('released', 'not_revocable', 'none', now)
  const probed = await provider.probe(handle)
  if (probed === 'dead') {
    const evidence = answer === 'gone' && !natural ? 'gone_at_provider' : 'probe_dead'
    return ended(natural ? 'expired' : 'revoked', 'confirmed', evidence, now)
  }
  if (now >= lease.expiresAt + graceMs) return endedByTime(lease, now)
  // An order that ended it all the same is no end to wait for: it is looked at, and given again, until it is seen dead.
  if (revocation === 'natural_expiry' && natural) return waitForNaturalEnd(lease, now)
  if (lease.record.propagation === undefined) return later(lease, now, backOffMs(lease.attempts))
  // The denial is written and still spreads. Waiting for that is no attempt: else the next error would count as the last of many.
  return { ...later(lease, now, 1000), uncounted: probed === 'unknown' }
}

/** Some of what ends naturally can be ended early on an operator's order (a deny policy kept for that), some cannot at all. */
async function revokeIfPossible(
  provider: Provider,
  handle: Handle,
  lease: Lease,
): Promise<'revoked' | 'gone' | 'impossible'> {
  try {
    return await provider.revoke(handle, lease.expiresAt, { forced: lease.forced })
  } catch (error) {
    const cannot = error instanceof ProviderError && error.kind === 'permanent'
    if (cannot && lease.record.revocation === 'natural_expiry') return 'impossible'
    throw error
  }
}

const ended = (
  state: 'revoked' | 'expired' | 'released' | 'void',
  outcome: Receipt['outcome'],
  evidence: Receipt['evidence'],
  at: number,
): Settlement => ({
  state,
  receipt: { outcome, evidence, at },
})

/**
 * Its natural end and the grace are over, and nobody could be asked. A copy of a standing secret has no such end: it stays good
 * whatever time it is, and the receipt says that.
 */
const endedByTime = (lease: Lease, now: number): Settlement =>
  lease.record.revocation === 'standing'
    ? ended('released', 'not_revocable', 'none', now)
    : ended('expired', 'expires_at', 'natural_end', now)

const later = (lease: Lease, now: number, inMs: number): Settlement => ({
  state: 'revoking',
  receipt: { outcome: 'pending', evidence: 'none', at: now },
  lookAt: now + Math.min(inMs, Math.max(250, lease.expiresAt + graceMs - now)),
})

function waitForNaturalEnd(lease: Lease, now: number): Settlement {
  return {
    state: 'revoking',
    receipt: { outcome: 'expires_at', evidence: 'none', at: now },
    lookAt: Math.max(lease.expiresAt, now + 250),
  }
}

function searchAgain(lease: Lease, now: number): Settlement {
  if (now >= lease.expiresAt + graceMs) return endedByTime(lease, now)
  return later(lease, now, searchAgainMs[Math.min(lease.attempts - 1, searchAgainMs.length - 1)] ?? 90_000)
}

/** 250 ms doubling to at most a minute, with up to half of it as jitter so that many do not come back together. */
function backOffMs(attempts: number): number {
  const full = Math.min(60_000, 250 * 2 ** Math.min(Math.max(0, attempts - 1), 10))
  return full / 2 + Math.random() * (full / 2)
}

/** How often a retryable failure is retried before the lease shows as failed. With the back-off: some ten minutes. */
const attemptsBeforeFailed = 16

function failedAttempt(parts: Parts, lease: Lease, now: number, error: unknown): Settlement {
  parts.log.warn(
    { err: error, lease: lease.id, provider: lease.record.provider, attempts: lease.attempts },
    'a lease could not be ended yet',
  )
  if (now >= lease.expiresAt + graceMs) return endedByTime(lease, now)
  const permanent = error instanceof ProviderError && error.kind === 'permanent'
  if (permanent || lease.attempts >= attemptsBeforeFailed) {
    // Natural end and grace pass before it may be called expired; until then operators see it as failed.
    const lookAt = now < lease.expiresAt ? lease.expiresAt : Math.max(now + 1000, lease.expiresAt + graceMs)
    return { state: 'failed', receipt: { outcome: 'failed', evidence: 'none', at: now }, lookAt }
  }
  return later(lease, now, backOffMs(lease.attempts))
}
