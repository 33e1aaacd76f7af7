// What large orders reach, worked off beside everything else. It goes through no queue: a hundred thousand jobs would be as many
// round trips more, and what is due by time or waited for by somebody would stand behind them.
import type { Parts } from './parts.js'
import { revoke } from './revoke.js'
import type { SweepPool } from './sweep-pool.js'

/** So many at once per provider: enough for any of them to be busy, few enough that whoever waits meets a short line. */
const atOnce = 8
/** A worker that ends takes no more with it than each of these has in hand. */
const inHand = 4

/** Begins to work off each provider's, unless that is under way. Does not wait for it. */
export function beginBulk(parts: Parts, pool: SweepPool): void {
  for (const { name, concurrency } of parts.providers.values()) {
    const all = () =>
      workOff(parts, pool, name, Math.min(atOnce, concurrency)).catch((error: unknown) =>
        parts.log.warn({ err: error, provider: name }, 'a large order waits for the next sweep'),
      )
    void pool.begin(`bulk:${name}`, [name], all)
  }
}

async function workOff(parts: Parts, pool: SweepPool, provider: string, width: number): Promise<void> {
  const take = async () => {
    // Not asked while it does not answer: what stays in the bulk index need not be put off one by one.
    if (pool.stopping || parts.breakers.revoke(provider).waitMs() > 0) return []
    return await parts.ledger.takeBulk(provider, inHand)
  }
  // One asks; the others begin when there is something.
  const first = await take()
  if (first.length === 0) return
  const lane = async (begun: readonly string[]) => {
    for (let leases = begun; leases.length > 0; leases = await take()) {
      for (const lease of leases) {
        await pool.foreground.giveWay()
        await endOne(parts, pool, lease)
      }
    }
  }
  await Promise.all([lane(first), ...Array.from({ length: width - 1 }, async () => lane(await take()))])
}

async function endOne(parts: Parts, pool: SweepPool, lease: string): Promise<void> {
  await revoke(parts, lease, pool.stopped).catch((error: unknown) =>
    parts.log.warn({ err: error, lease }, 'a lease of a large order waits for its due time'),
  )
}
