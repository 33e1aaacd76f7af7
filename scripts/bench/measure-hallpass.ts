// Hallpass's own figures, on its running programs, and the bare floor between them.
import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Connection, connectFailFast, untilReady } from '../../src/ledger/connection.js'
import type { Drain } from './due-leases.js'
import type { FloorOptions } from './floor.js'
import { deleteByPrefix, readsSoFar, redisVersion } from './redis-figures.js'
import { merge, runLoad } from './run-load.js'
import { type Ground, lastWords, type RunningProgram, startProgram, untilReadyMs, untilServing } from './stack.js'
import type { StoryName } from './stories.js'
import type { Load } from './summary.js'

export interface HallpassFigures {
  readonly redisVersion: string
  readonly exchange: Load
  readonly floor: Load
  readonly redisRoundTrips: number
  readonly complete: Load
  readonly issueAndRelease: Load
  readonly drain: Drain
  readonly startMs: { readonly serve: number; readonly worker: number }
  readonly residentMiB: { readonly serveIdle: number; readonly serveLoaded: number; readonly worker: number }
}

interface Bench {
  readonly connections: number
  readonly seconds: number
  /** The Redis was started for this run and goes with it. */
  readonly isOurs: boolean
  drain(workerPid: number): Promise<Drain>
  say(line: string): void
}

/** Starts both programs, measures, stops them. */
export async function measureHallpass(ground: Ground, bench: Bench): Promise<HallpassFigures> {
  const redis = connectFailFast({ url: ground.redisUrl, prefix: ground.prefix }, () => undefined)
  await untilReady(redis, 5000)
  bench.say('start-up')
  const { serve, worker, startMs } = await measureStart(ground)
  try {
    return {
      redisVersion: await redisVersion(redis),
      startMs,
      ...(await measureRunning(ground, bench, redis, { serve, worker })),
    }
  } catch (error) {
    bench.say(lastWords(ground))
    throw error
  } finally {
    await serve.stop()
    await worker.stop()
    if (!bench.isOurs) await deleteByPrefix(redis, ground.prefix)
    redis.disconnect()
  }
}

/** Each program's way from the command to `ready`; the worker's beside a broker, which alone can say it. Both then run on. */
async function measureStart(ground: Ground) {
  const started: RunningProgram[] = []
  const start = (program: 'serve' | 'worker') => {
    const running = startProgram(program, ground)
    started.push(running)
    return running
  }
  try {
    const servingFirst = start('serve')
    await untilServing(ground)
    let startedAt = performance.now()
    const worker = start('worker')
    const workerMs = await untilReadyMs(ground, startedAt)
    await servingFirst.stop()
    startedAt = performance.now()
    const serve = start('serve')
    const serveMs = await untilReadyMs(ground, startedAt)
    return { serve, worker, startMs: { serve: serveMs, worker: workerMs } }
  } catch (error) {
    for (const one of started) await one.stop()
    throw error
  }
}

async function measureRunning(
  ground: Ground,
  bench: Bench,
  redis: Connection,
  { serve, worker }: { serve: RunningProgram; worker: RunningProgram },
) {
  const serveIdle = residentMiB(serve.pid)
  bench.say('Redis round trips')
  const redisRoundTrips = await countRoundTrips(ground, redis, worker.pid)
  const load = (story: StoryName, connections = bench.connections, url = ground.url, seconds = bench.seconds) =>
    runLoad({
      story,
      url,
      connections,
      warmSeconds: Math.min(1, seconds / 2),
      seconds,
      tokens: tokensFor(ground, connections),
    })
  // This also lets the programs compile what the others run through: they are measured warm, as the floor and Vault are.
  bench.say('complete until dead')
  await load('issue and release')
  const complete = await load('complete', 4)
  bench.say('exchange and the bare floor, in turns')
  const floorServer = await startFloor(ground)
  const exchange: Load[] = []
  const floor: Load[] = []
  for (let round = 0; round < 2; round++) {
    exchange.push(await load('exchange', undefined, undefined, bench.seconds / 2))
    floor.push(await load('floor', undefined, floorServer.url, bench.seconds / 2))
  }
  floorServer.stop()
  bench.say('issue and release')
  const issueAndRelease = await load('issue and release')
  const loaded = { serveLoaded: residentMiB(serve.pid), worker: residentMiB(worker.pid) }
  bench.say('drain of due leases')
  const drain = await bench.drain(worker.pid)
  return {
    redisRoundTrips,
    issueAndRelease,
    complete,
    exchange: merge(exchange),
    floor: merge(floor),
    drain,
    residentMiB: { serveIdle, ...loaded },
  }
}

const tokensFor = (ground: Ground, count: number) => Array.from({ length: count }, (_, i) => ground.token(`agent-${i}`))

/** One caller, the worker held: every read that Redis makes is the broker's. INFO itself is one of them. */
async function countRoundTrips(ground: Ground, redis: Connection, workerPid: number): Promise<number> {
  const plan = { story: 'exchange', url: ground.url, connections: 1, tokens: tokensFor(ground, 1) } as const
  await runLoad({ ...plan, warmSeconds: 0.1, seconds: 0.1 })
  process.kill(workerPid, 'SIGSTOP')
  try {
    const before = await readsSoFar(redis)
    const { turns } = await runLoad({ ...plan, warmSeconds: 0, seconds: 0.4 })
    const openingTheTask = 1
    return ((await readsSoFar(redis)) - before - 1 - openingTheTask) / turns
  } finally {
    process.kill(workerPid, 'SIGCONT')
  }
}

async function startFloor(ground: Ground): Promise<{ url: string; stop(): void }> {
  const child = fork(fileURLToPath(new URL('floor.js', import.meta.url)))
  const { redisUrl, prefix, issuerKey, subjectIssuer } = ground
  const options: FloorOptions = {
    redisUrl,
    prefix: `${prefix}-floor`,
    issuerKey,
    issuer: subjectIssuer,
    audience: ground.url,
  }
  child.send(options)
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return { url: `http://127.0.0.1:${port}`, stop: () => child.disconnect() }
}

const residentMiB = (pid: number) =>
  Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024
