// The lease engine's own figures: an order over very many leases, completions at a steady rate, many that are due at once, an
// exchange in a full ledger against one in an empty one, and what a second worker adds.
import { measureDrain } from './due-leases.js'
import { type EngineGround, layEngineGround } from './engine-ground.js'
import { accessOf, type Bulk, measureBulk } from './measure-bulk.js'
import { type FullLedger, measureFullLedger } from './measure-full-ledger.js'
import { layLeases, type OpenGround, openGround } from './population.js'
import { dataBytes, deleteByPrefix, preferRedis, redisVersion, untilPersisted } from './redis-figures.js'
import { runLoad } from './run-load.js'
import { preparePaced } from './run-paced.js'
import { lastWords, type RunningProgram, startProgram, untilReadyMs } from './stack.js'
import { actionAndResource } from './stories.js'
import type { Load } from './summary.js'

export interface EngineFigures extends FullLedger {
  readonly redisVersion: string
  /** Whether Redis had the first turn at the processors. */
  readonly isRedisPreferred: boolean
  readonly completions: Load
  readonly completionsPerSecond: number
  readonly drain: { readonly leases: number; readonly seconds: number }
  readonly live: number
  readonly bytesPerLease: number
  readonly bulk: Bulk
}

export interface EngineBench {
  readonly short: boolean
  readonly isOurs: boolean
  /** A second Redis, for an empty ledger beside the full one; the same one where it is not ours. */
  readonly emptyRedisUrl: string
  say(line: string): void
}

/** Short is a tenth of everything. */
export const sized = (count: number, short: boolean) => (short ? count / 10 : count)

export async function measureEngine(directory: string, redisUrl: string, bench: EngineBench): Promise<EngineFigures> {
  const ground = await layEngineGround(directory, redisUrl, null)
  const [worker, serve] = [startProgram('worker', ground), startProgram('serve', ground)]
  const on = await openGround(ground)
  try {
    await untilReadyMs(ground, performance.now())
    const isRedisPreferred = bench.isOurs && (await preferRedis(on.redis))
    return {
      redisVersion: await redisVersion(on.redis),
      isRedisPreferred,
      ...(await measureRunning(ground, on, worker, bench)),
    }
  } catch (error) {
    bench.say(lastWords(ground))
    throw error
  } finally {
    await serve.stop()
    await worker.stop()
    // The Vault part has a ledger of its own on the same Redis.
    await deleteByPrefix(on.redis, ground.prefix).catch(() => undefined)
    await on.close()
  }
}

async function measureRunning(ground: EngineGround, on: OpenGround, worker: RunningProgram, bench: EngineBench) {
  const { short, say, isOurs } = bench
  const tokens = Array.from({ length: 8 }, (_, i) => ground.token(`agent-${i}`))
  say('warming up')
  await runLoad({ story: 'complete', url: ground.url, connections: 4, warmSeconds: 0, seconds: short ? 2 : 4, tokens })
  say('completions at a steady rate, jwt')
  const completionsPerSecond = 100
  const count = sized(1000, short)
  const plan = { url: ground.url, connections: 64, perSecond: completionsPerSecond, tokens, ...actionAndResource }
  const completions = await (await preparePaced({ ...plan, count })).go()
  say('drain of due leases')
  const drained = await measureDrain(ground, worker.pid, sized(10_000, short))
  const live = sized(200_000, short)
  say(`laying ${live} live leases`)
  const before = await dataBytes(on.redis)
  const account = 'agents:one-of-many'
  const leases = await layLeases(on, {
    leases: live / 2,
    ttlSeconds: 7000,
    workload: () => 'one-of-many',
    record: (i) => ({ access: accessOf(i) }),
  })
  await layLeases(on, { leases: live / 2, ttlSeconds: 7000, workload: (task) => `other-${task}` })
  const bytesPerLease = ((await dataBytes(on.redis)) - before) / live
  await untilPersisted(on.redis)
  say('exchange in that ledger and in an empty one')
  const full = await measureFullLedger(ground, ground.directory, bench.emptyRedisUrl, {
    seconds: short ? 1 : 3,
    isOurs,
  })
  say(`one order over ${live / 2} leases`)
  const bulk = await measureBulk(ground, on, leases, account, isOurs)
  const drain = { leases: drained.leases, seconds: drained.seconds }
  return { completions, completionsPerSecond, drain, live, bytesPerLease, ...full, bulk }
}
