// The way back: claim, end it at the provider, look whether it is dead, write that down, settle. Retried until then (I3, I4).
// Run by the worker's jobs and by the sweeper alike; a crash after any step is found by the claim's end or the due time.
import { randomUUID } from 'node:crypto'
import { isEnded } from '../ledger/lease.js'
import { endAtProvider } from './end-at-provider.js'
import { keepClaim } from './keep-claim.js'
import type { Parts } from './parts.js'
import { recordEnded } from './records.js'

/** Ends one lease, or makes one attempt at it. Answers what came of it; `skipped` when it is not ours to end now. */
export async function revoke(parts: Parts, leaseId: string): Promise<'ended' | 'later' | 'skipped'> {
  const token = randomUUID()
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
    countSettled(parts, claim, settlement.state)
    return over ? 'ended' : 'later'
  } finally {
    kept.stop()
  }
}

function countSettled(
  parts: Parts,
  { lease, now }: { lease: { record: { provider: string }; expiresAt: number }; now: number },
  state: string,
) {
  const { provider } = lease.record
  if (state === 'revoking') parts.metrics.revocationRetries.inc({ provider })
  else parts.metrics.leasesEnded.inc({ provider, state })
  if (now > lease.expiresAt) parts.metrics.revocationSeconds.observe({ provider }, (now - lease.expiresAt) / 1000)
}
