// Fills the gauges from the ledger and the queue when somebody scrapes. A few calls however many leases there are, and at most
// once in a few seconds: whoever scrapes often costs the ledger nothing.
import type { LeaseState } from '../ledger/lease.js'
import type { Parts } from './parts.js'

const freshMs = 3000
/** Always told, so that a graph shows 0 and not a gap. */
const usualStates: readonly LeaseState[] = ['reserved', 'active', 'revoking', 'failed']

/** Answers a function that brings the gauges up to date. It never throws: without the ledger `hallpass_ledger_up` is 0. */
export function createObserver(parts: Parts): () => Promise<void> {
  let lastAt = Number.NEGATIVE_INFINITY
  let running = Promise.resolve()
  return () => {
    if (parts.clock.monotonic() - lastAt < freshMs) return running
    lastAt = parts.clock.monotonic()
    running = observe(parts).catch((error: unknown) => {
      // What was true before the outage is not told as if it were now.
      forget(parts)
      parts.metrics.ledgerUp.set(0)
      parts.log.debug({ err: error }, 'the ledger could not be observed')
    })
    return running
  }
}

async function observe(parts: Parts): Promise<void> {
  const { metrics, ledger, queue } = parts
  const names = [...parts.providers.keys()]
  const [counts, { sweptAgoMs }, depths, change] = await Promise.all([
    ledger.counts(names),
    ledger.ready(),
    queue.depths(names),
    ledger.findRulesChange(),
  ])
  forget(parts)
  metrics.ledgerUp.set(1)
  metrics.recordsOwed.set(counts.owed)
  metrics.changeWaiting.set(change?.state === 'waiting' ? change.doomed : 0)
  if (sweptAgoMs !== null) metrics.sweptSecondsAgo.set(Math.max(0, sweptAgoMs) / 1000)
  for (const { provider, states, oldestOverdueMs } of counts.providers) {
    for (const state of usualStates) metrics.leases.set({ provider, state }, 0)
    for (const [state, count] of Object.entries(states)) metrics.leases.set({ provider, state }, count)
    metrics.oldestOverdueSeconds.set({ provider }, oldestOverdueMs / 1000)
  }
  for (const { provider, waiting, active } of depths) {
    metrics.queueDepth.set({ provider, state: 'waiting' }, waiting)
    metrics.queueDepth.set({ provider, state: 'active' }, active)
  }
}

function forget({ metrics }: Parts): void {
  const { leases, oldestOverdueSeconds, recordsOwed, changeWaiting, queueDepth, sweptSecondsAgo } = metrics
  for (const gauge of [leases, oldestOverdueSeconds, queueDepth]) gauge.reset()
  // One without labels would come back as 0, which is a claim.
  for (const gauge of [recordsOwed, changeWaiting, sweptSecondsAgo]) gauge.remove()
}
