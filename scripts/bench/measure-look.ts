// The one look that a decision rests on, at a task tree whose session and account hold a thousand leases, beside the least that
// a script can take on the same connection.
import { randomBytes } from 'node:crypto'
import { createId } from '../../src/core/ids.js'
import { type Connection, connectFailFast, connectPatient, untilReady } from '../../src/ledger/connection.js'
import type { Ledger } from '../../src/ledger/ledger.js'
import { openRedisLedger } from '../../src/ledger/redis-ledger.js'
import type { Task } from '../../src/ledger/task.js'
import { recordOf, taskOf } from './due-leases.js'
import { deleteByPrefix } from './redis-figures.js'
import { type Load, summarise } from './summary.js'

export interface Look {
  readonly leases: number
  readonly look: Load
  /** A script that answers at once. */
  readonly bare: Load
  /** Scripts that Redis ran for one look: its round trips. */
  readonly callsPerLook: number
  /** How long Redis itself works on one look. */
  readonly redisMicroseconds: number
}

const leases = 1000
const tasksInTree = 20
const limits = { task: 1e9, account: 1e9, provider: 1e9 }

/** Looks and bare calls in turns, one after another. */
export async function measureLook(redisUrl: string, turns: number): Promise<Look> {
  const settings = { url: redisUrl, prefix: `look-${randomBytes(4).toString('hex')}` }
  const redis = connectFailFast(settings, () => undefined)
  await untilReady(redis, 5000)
  const subscriber = connectPatient(settings, () => undefined)
  const ledger = await openRedisLedger({ redis, subscriber, prefix: settings.prefix })
  try {
    const deepest = await layTree(ledger)
    const sha = String(await redis.script('LOAD', 'return 1'))
    const bareCall = () => redis.evalsha(sha, 1, `{${settings.prefix}}:`)
    const look = () => ledger.look(deepest.id, 'k'.repeat(43), { account: accountOf(deepest), perMinute: 1e9 })
    for (let i = 0; i < 200; i++) await Promise.all([look(), bareCall()])
    const before = await scriptsRun(redis)
    for (let i = 0; i < turns; i++) await look()
    const after = await scriptsRun(redis)
    const [looks, bares]: [number[], number[]] = [[], []]
    const startedAt = performance.now()
    for (let i = 0; i < turns; i++) {
      looks.push(await timed(look))
      bares.push(await timed(bareCall))
    }
    const seconds = (performance.now() - startedAt) / 1000
    const callsPerLook = (after.calls - before.calls) / turns
    const redisMicroseconds = (after.microseconds - before.microseconds) / turns
    const times = { look: summarise(looks, seconds), bare: summarise(bares, seconds) }
    return { leases, ...times, callsPerLook, redisMicroseconds }
  } finally {
    await deleteByPrefix(redis, settings.prefix)
    await ledger.close()
  }
}

const accountOf = (task: Task) => task.holders.find(({ kind }) => kind === 'account')?.id ?? ''

/** A root, below it a line of five, and their siblings; together they hold the leases, of ten actions on forty resources. */
async function layTree(ledger: Ledger): Promise<Task> {
  const root = taskOf('looked-at')
  const tasks: Task[] = []
  for (let i = 0; i < tasksInTree; i++) {
    const parent = i === 0 ? undefined : tasks[Math.min(i - 1, 4)]
    const id = createId('task', Date.now())
    const below = parent && { parent: parent.id, depth: parent.depth + 1 }
    const task: Task = { ...root, id, chain: [id, ...(parent?.chain ?? [])], ...below }
    const request = { task, ttlSeconds: 7200, openTasksLimit: 1e9, ratePerMinute: null, idempotency: null }
    if ((await ledger.openTask(request)).outcome !== 'ok') throw new Error('a task was not opened')
    tasks.push(task)
  }
  for (let i = 0; i < leases; i++) {
    const task = tasks[i % tasksInTree]
    if (task) await layLease(ledger, task, i)
  }
  return tasks[5] ?? root
}

async function layLease(ledger: Ledger, task: Task, number: number): Promise<void> {
  // Says that somebody sweeps, and takes nothing.
  if (number % 100 === 0) await ledger.takeDue([], 0)
  const lease = createId('lease', Date.now())
  const [action, resource] = [`report.read-${number % 10}`, `repo:acme/web-${number % 40}`]
  const answer = await ledger.reserve({
    lease,
    record: { ...recordOf(task), action, resource, ttl: 3600 },
    holders: task.holders,
    versions: (await ledger.lookHolders(task.holders)).holders.map(({ version }) => version),
    ttlSeconds: 3600,
    providerTimeoutMs: 5000,
    idempotency: null,
    capacity: null,
    limits,
    locks: [],
  })
  if (answer.outcome !== 'ok') throw new Error(`a lease was not reserved: ${answer.outcome}`)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

async function scriptsRun(redis: Connection): Promise<{ calls: number; microseconds: number }> {
  const text = String(await redis.info('commandstats'))
  const lines = [...text.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+),usec=(\d+)/gm)]
  const sum = (of: 1 | 2) => lines.reduce((total, line) => total + Number(line[of]), 0)
  return { calls: sum(1), microseconds: sum(2) }
}
