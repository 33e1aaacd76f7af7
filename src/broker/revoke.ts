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

/** Ends one lease, or makes one attempt at it. Answers what came of it; `skipped` when it is not ours to end now. */
export async function revoke(parts: Parts, leaseId: string): Promise<'ended' | 'later' | 'skipped'> {
  const token = randomUUID()
  const startedAt = parts.clock.monotonic()
  const claim = await parts.ledger.claim(leaseId, token)
  if (claim.outcome !== 'ok') return 'skipped'
  const kept = keepClaim(parts, leaseId, token)
  try {
    const settlement = await endAtProvider(parts, claim)
    const over = isEnded(settlement.state)
    const owed =
      over || settlement.state === 'failed'
        ? await recordEnded(parts, claim.lease, settlement.state, settlement.receipt)
        : false
    await parts.ledger.settle(leaseId, token, { ...settlement, owed })
    tellAttempt(parts, claim, settlement, parts.clock.monotonic() - startedAt)
    return over ? 'ended' : 'later'
  } finally {
    kept.stop()
  }
}

/** One line and the figures of one attempt. */
function tellAttempt(parts: Parts, { lease, now }: Claimed, { state, receipt }: Settlement, ms: number): void {
  const { provider, revocation } = lease.record
  const { metrics } = parts
  parts.log.info(
    { lease: lease.id, provider, attempt: lease.attempts, outcome: receipt.outcome, state, ms: Math.round(ms) },
    'revocation',
  )
  if (state === 'revoking') metrics.revocationRetries.inc({ provider })
  else metrics.leasesEnded.inc({ provider, state })
  if (!isEnded(state)) return
  // What cannot be ended early is not late before its deadline, whenever it was ordered.
  const since = revocation === 'natural_expiry' ? lease.expiresAt : Math.min(lease.endingAt ?? now, lease.expiresAt)
  metrics.revocationSeconds.observe({ provider }, Math.max(0, now - since + ms) / 1000)
}
