// Ports for servers that are told theirs. Between the choice and the listening, and while a server is down, nobody holds one: two test
// files side by side would now and then take the same, so each jest worker chooses from a lane of its own.
import { findFreePort } from '../../src/dev/redis.js'

/** Above those that programs under test choose for themselves; a cluster's second port, 10,000 above, stays below outgoing ones. */
const first = 12_000
const laneWidth = 2000
const lane = Number(process.env.JEST_WORKER_ID ?? 0) % 4
const given = new Set<number>()

/** A loopback port that nobody listens on and that nobody else here was given before. */
export async function freePort(): Promise<number> {
  const from = first + lane * laneWidth
  for (;;) {
    const port = await findFreePort(from, from + laneWidth)
    if (given.has(port)) continue
    given.add(port)
    return port
  }
}
