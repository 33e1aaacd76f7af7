// A change of rules over ten thousand live leases: how long until all of them were decided again, and what exchanges notice of it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRedis } from '../../src/dev/redis.js'
import { layEngineGround } from './engine-ground.js'
import { layLeases, type OpenGround, openGround } from './population.js'
import { figure, ms, plain, printRows, type Row } from './report.js'
import { runLoad } from './run-load.js'
import { lastWords, startProgram, untilReadyMs } from './stack.js'
import type { Load } from './summary.js'

interface Changes {
  readonly machine: { readonly cpus: number; readonly node: string }
  readonly live: number
  /** From when the change came to be in force until the last lease was judged. */
  readonly seconds: number
  /** The worker's processor time in it; null where the system does not tell. */
  readonly cpuSeconds: number | null
  readonly quiet: Load
  readonly beside: Load
}

export async function measureChanges(short: boolean, say: (line: string) => void): Promise<Changes> {
  const directory = mkdtempSync(join(tmpdir(), 'hallpass-bench-'))
  const redis = await findRedis(join(directory, 'redis'), process.env, say)
  try {
    const ground = await layEngineGround(directory, redis.url, null)
    const [worker, serve] = [startProgram('worker', ground), startProgram('serve', ground)]
    const on = await openGround(ground)
    try {
      await untilReadyMs(ground, performance.now())
      const tokens = Array.from({ length: 8 }, (_, i) => ground.token(`agent-${i}`))
      const exchange = (seconds: number) =>
        runLoad({ story: 'exchange', url: ground.url, connections: 4, warmSeconds: 0.5, seconds, tokens })
      const live = short ? 1000 : 10_000
      say(`laying ${live} live leases`)
      await layLeases(on, { leases: live, ttlSeconds: 7000, workload: (task) => `other-${task}` })
      say('exchange without a change')
      const seconds = short ? 1 : 3
      await exchange(seconds)
      const quiet = await exchange(seconds)
      say('a change, and exchange beside it')
      const before = await changeOf(on, ground.prefix)
      writeFileSync(join(directory, 'policies', 'changed.cedar'), changed)
      await until(on, ground.prefix, (now) => now.current !== before.current && now.held !== undefined)
      const [began, cpuBegan] = [performance.now(), cpuSecondsOf(worker.pid)]
      const judged = until(on, ground.prefix, (now) => now.state === 'done').then(() => performance.now() - began)
      const beside = await exchange(seconds)
      const took = (await judged) / 1000
      const cpu = cpuSecondsOf(worker.pid)
      const cpuSeconds = cpu === null || cpuBegan === null ? null : cpu - cpuBegan
      const machine = { cpus: cpus().length, node: process.version }
      return { machine, live, seconds: took, cpuSeconds, quiet, beside }
    } catch (error) {
      say(lastWords(ground))
      throw error
    } finally {
      await serve.stop()
      await worker.stop()
      await on.close()
    }
  } finally {
    await redis.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Of a process on Linux, whose clock ticks a hundred times a second; null elsewhere. */
function cpuSecondsOf(pid: number): number | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return null
  }
}

const changed = `@id("changed")
forbid (principal == Workload::"agents:nobody", action in Action::"read", resource);
`

const changeOf = async ({ redis }: OpenGround, prefix: string): Promise<Record<string, string>> =>
  await redis.hgetall(`{${prefix}}:rules`)

async function until(on: OpenGround, prefix: string, holds: (now: Record<string, string>) => boolean): Promise<void> {
  for (const end = performance.now() + 120_000; performance.now() < end; ) {
    if (holds(await changeOf(on, prefix))) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('the change is not through after two minutes')
}

export function changesRows({ live, seconds, cpuSeconds, quiet, beside }: Changes): Row[] {
  const worse = beside.p99Ms / quiet.p99Ms
  return [
    {
      what: `${figure(live)} live leases decided again`,
      result: `${figure(seconds, 1)} s`,
      aim: '≤ 20 s',
      met: seconds <= 20,
    },
    ...(cpuSeconds === null ? [] : [plain('… of the worker’s processor time', `${figure(cpuSeconds, 1)} s`)]),
    plain('exchange p99: quiet · beside it', `${ms(quiet.p99Ms)} · ${ms(beside.p99Ms)}`),
    { what: '… as a ratio', result: `${figure(worse, 2)} ×`, aim: '≤ 1.5 ×', met: worse <= 1.5 },
  ]
}

const method = ({ machine, live }: Changes) => [
  `${machine.cpus} processors, Node ${machine.node}; serve, worker, Redis and load on this machine.`,
  `The change: one more policy, which ends none of the ${live}; the worker judges all, four connections exchange meanwhile.`,
]

export const printChanges = (changes: Changes): string => printRows(changesRows(changes), method(changes))
