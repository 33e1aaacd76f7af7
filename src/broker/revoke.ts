// The way back: claim, end it at the provider, look whether it is dead, write that down, settle. Retried until then (I3, I4).
// Run by the worker's jobs and by the sweeper alike; a crash after any step is found by the claim's end or the due time.
import { randomUUID } from 'node:crypto'
import { isEnded } from '../ledger/lease.js'
import type { ClaimAnswer, Settlement } from '../ledger/ledger.js'
import { endAtProvider } from './end-at-provider.js'
import { keepClaim } from './keep-claim.js'
import type { Parts } from './parts.js'
import { recordEnded } from './records.js'

type Claimed = Extract<ClaimAnswer, { outcome: 'ok' }>

/**
 * Ends one lease, or makes one attempt at it. Answers what came of it; `skipped` when it is not ours to end now. When `stop`
 * says that this process is to end, the claim is handed back, so that another worker need not wait until it runs out.
 */
export async function revoke(
  parts: Parts,
  leaseId: string,
  stop?: AbortSignal,
): Promise<'ended' | 'later' | 'skipped'> {
  if (stop?.aborted) return 'skipped'
  const token = randomUUID()
  const claim = await parts.ledger.claim(leaseId, token)
  if (claim.outcome !== 'ok') return 'skipped'
  const claimedAt = parts.clock.monotonic()
  const kept = keepClaim(parts, leaseId, token)
  try {
    const settlement = await unlessStopped(endAtProvider(parts, claim), handedBack(claim), stop)
    const over = isEnded(settlement.state)
    // A failure that was put off is the same failure: its record stands.
    const isOutcome = over || (settlement.state === 'failed' && settlement.uncounted !== true)
    const owed = isOutcome ? await recordEnded(parts, claim.lease, settlement.state, settlement.receipt) : false
    await parts.ledger.settle(leaseId, token, { ...settlement, owed })
    tellAttempt(parts, claim, settlement, parts.clock.monotonic() - claimedAt)
    return over ? 'ended' : 'later'
  } finally {
    kept.stop()
  }
}

/** The provider's call may still come through; to end a lease once more does no harm. */
function handedBack({ lease, now }: Claimed): Settlement {
  return {
    state: lease.state === 'failed' ? 'failed' : 'revoking',
    receipt: lease.receipt ?? { outcome: 'pending', evidence: 'none', at: now },
    lookAt: now,
    uncounted: true,
  }
}

async function unlessStopped<T>(work: Promise<T>, otherwise: T, stop: AbortSignal | undefined): Promise<T> {
  if (stop === undefined) return await work
  let onStop = () => {}
  const stopped = new Promise<T>((resolve) => {
    onStop = () => resolve(otherwise)
    if (stop.aborted) onStop()
    stop.addEventListener('abort', onStop)
  })
  try {
    return await Promise.race([work, stopped])
  } finally {
    stop.removeEventListener('abort', onStop)
  }
}

/** One line and the figures of one attempt. */
function tellAttempt(parts: Parts, { lease, now, orderedAt }: Claimed, settlement: Settlement, tookMs: number): void {
  const { provider, revocation } = lease.record
  const { metrics } = parts
  const { state, receipt, uncounted } = settlement
  const { outcome } = receipt
  parts.log.info(
    { lease: lease.id, provider, attempt: lease.attempts, outcome, state, counted: !uncounted, ms: Math.round(tookMs) },
    'revocation',
  )
  if (uncounted) return
  if (state === 'revoking' && outcome !== 'expires_at') metrics.revocationRetries.inc({ provider })
  else if (state !== 'revoking') metrics.leasesEnded.inc({ provider, state })
  if (!isEnded(state)) return
  // From the order (or the deadline) to the receipt, on the ledger's clock. What cannot be ended early is not late before its
  // deadline, unless an operator's order ends it all the same.
  const since =
    revocation === 'natural_expiry' && !lease.forced ? lease.expiresAt : Math.min(orderedAt, lease.expiresAt)
  metrics.revocationSeconds.observe({ provider }, Math.max(0, now + tookMs - since) / 1000)
}
