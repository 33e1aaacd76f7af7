// One order over a hundred thousand leases of one account: how long it takes, what it does to Redis and to those who end a task
// meanwhile, and in which order the leases end.
import type { Access } from '../../src/policy/decision.js'
import { HttpConnection } from './connection.js'
import type { EngineGround } from './engine-ground.js'
import { endedAt, type OpenGround } from './population.js'
import { preparePaced } from './run-paced.js'
import { actionAndResource, bearer, expected } from './stories.js'
import type { Load } from './summary.js'

export interface Bulk {
  readonly leases: number
  /** From the request to its answer, and to its last receipt. */
  readonly answeredMs: number
  readonly seconds: number
  /** Completions beside it from its request to its last receipt, so many per second. */
  readonly beside: Load
  readonly besidePerSecond: number
  /**
   * Redis calls over 10 ms in that time, and the longest; null where it was not ours to ask. `plainMs`: the longest single
   * command without a script, which tells how long this machine kept Redis from running.
   */
  readonly slow: { readonly over10ms: number; readonly longestMs: number; readonly plainMs: number } | null
  /** When the last lease of each access had ended, seconds after the request. */
  readonly lastEnded: Readonly<Record<Access, number>>
}

/** Of a hundred thousand: 500 admin, 1,000 deploy, 10,000 write, mixed as they came. */
export const accessOf = (index: number): Access =>
  index % 200 === 0 ? 'admin' : index % 100 === 1 ? 'deploy' : index % 10 === 2 ? 'write' : 'read'

/** Slower ones than this are listed by Redis, so that the longest is known where none is over 10 ms. */
const listedFromMicros = 1000

export async function measureBulk(
  ground: EngineGround,
  on: OpenGround,
  leases: readonly string[],
  account: string,
  isOurs: boolean,
): Promise<Bulk> {
  const besidePerSecond = 10
  const paced = await preparePaced({
    url: ground.url,
    connections: 32,
    // More than an order ever took: they are begun until it is done.
    count: Math.min(4000, Math.max(400, leases.length / 25)),
    perSecond: besidePerSecond,
    tokens: Array.from({ length: 8 }, (_, i) => ground.token(`agent-${i}`)),
    ...actionAndResource,
  })
  if (isOurs) await startSlowLog(on)
  const connection = await HttpConnection.open(ground.url)
  const headers = bearer(ground.operatorToken())
  const start = Date.now()
  const body = JSON.stringify({ target: { account }, reason: 'a bench' })
  const beside = paced.go()
  const ordered = expected(await connection.request('POST', '/v1/revocations', headers, body), 202)
  const answeredMs = Date.now() - start
  const { id, matched } = JSON.parse(ordered.body) as { id: string; matched: number }
  if (matched !== leases.length) throw new Error(`the order reaches ${matched} of ${leases.length} leases`)
  await untilDone(connection, headers, id)
  const seconds = (Date.now() - start) / 1000
  paced.stop()
  const load = await beside
  const slow = isOurs ? await readSlowLog(on) : null
  connection.close()
  const lastEnded = await lastEndedOf(on, ground, leases, start)
  return { leases: leases.length, answeredMs, seconds, beside: load, besidePerSecond, slow, lastEnded }
}

async function untilDone(connection: HttpConnection, headers: readonly string[], id: string): Promise<void> {
  for (const end = performance.now() + 600_000; performance.now() < end; ) {
    const answer = expected(await connection.request('GET', `/v1/revocations/${id}?limit=1`, headers), 200)
    const { state, failed } = JSON.parse(answer.body) as { state: string; failed: number }
    if (failed > 0) throw new Error(`${failed} leases could not be revoked`)
    if (state === 'done') return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('the order is not done after ten minutes')
}

async function lastEndedOf(on: OpenGround, ground: EngineGround, leases: readonly string[], start: number) {
  const last: Record<Access, number> = { admin: 0, deploy: 0, write: 0, read: 0 }
  for (const [i, at] of (await endedAt(on, ground, leases)).entries()) {
    if (at === null) throw new Error('the order is done, and a lease of it is not')
    last[accessOf(i)] = Math.max(last[accessOf(i)], (at - start) / 1000)
  }
  return last
}

async function startSlowLog({ redis }: OpenGround): Promise<void> {
  await redis.config('SET', 'slowlog-log-slower-than', `${listedFromMicros}`)
  await redis.config('SET', 'slowlog-max-len', '100000')
  await redis.slowlog('RESET')
}

async function readSlowLog({ redis }: OpenGround) {
  const entries = (await redis.slowlog('GET', '100000')) as [number, number, number, string[]][]
  const longestOf = (some: typeof entries) => Math.max(0, ...some.map(([, , micros]) => micros)) / 1000
  return {
    over10ms: entries.filter(([, , micros]) => micros > 10_000).length,
    longestMs: longestOf(entries),
    plainMs: longestOf(entries.filter(([, , , args]) => !/^eval/i.test(args[0] ?? ''))),
  }
}
