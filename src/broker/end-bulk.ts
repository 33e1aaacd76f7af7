// What large orders reach, worked off beside everything else. It goes through no queue: a hundred thousand jobs would be as many
// round trips more, and what is due by time or waited for by somebody would stand behind them.
import type { OwnWork } from './own-work.js'
import type { Parts } from './parts.js'
import { revoke } from './revoke.js'

/** So many at once per provider: enough for any of them to be busy, few enough that whoever waits meets a short line. */
const lanes = ['1', '2', '3', '4', '5', '6', '7', '8']
/** A worker that ends takes no more with it than each lane has in hand. */
const inHand = 4

/** Begins to work off each provider's, unless that is under way. Does not wait for it. */
export function beginBulk(parts: Parts, own: OwnWork): void {
  for (const { name, concurrency } of parts.providers.values()) {
    const lane = () =>
      workOff(parts, own, name).catch((error: unknown) =>
        parts.log.warn({ err: error, provider: name }, 'a large order waits for the next sweep'),
      )
    own.begin(`bulk:${name}`, lanes.slice(0, concurrency), lane)
  }
}

async function workOff(parts: Parts, own: OwnWork, provider: string): Promise<void> {
  while (!own.stopping) {
    // Not asked while it does not answer: what is left in the order's place need not be put off one by one.
    if (parts.breakers.revoke(provider).waitMs() > 0) return
    const leases = await parts.ledger.takeBulk(provider, inHand)
    if (leases.length === 0) return
    for (const lease of leases) {
      await revoke(parts, lease, own.stopped).catch((error: unknown) =>
        parts.log.warn({ err: error, lease }, 'a lease of a large order waits for its due time'),
      )
    }
  }
}
