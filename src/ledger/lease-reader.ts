// Reading leases and tasks: by id, by task, and pages of all that may be alive.
import type { AttributeValue } from '../identity/principal.js'
import type { Access } from '../policy/decision.js'
import type { Connection } from './connection.js'
import { isEnded, type Lease } from './lease.js'
import { matches } from './lease-match.js'
import type { LeaseMatch, LeaseRef } from './ledger.js'
import { providersOf, scanLeases, scanStep } from './live-scan.js'
import { lockTargets } from './lock-names.js'
import { leaseOf, type TaskRecord, taskOf } from './replies.js'
import type { RunScript } from './scripts.js'
import { orUnavailable } from './unavailable.js'

/** Leases read at once: a task that lived for hours has thousands, and others wait for Redis, too. */
const atOnce = 500
/** So many make a page of those that may be alive. */
const pageSize = 100

export function createLeaseReader(redis: Connection, tag: string, run: RunScript) {
  const findLeases = async (ids: readonly string[]): Promise<Lease[]> => {
    const found: Lease[] = []
    for (let at = 0; at < ids.length; at += atOnce) {
      const some = ids.slice(at, at + atOnce)
      const replies = await orUnavailable(Promise.all(some.map((id) => redis.hgetall(`${tag}l:${id}`))))
      for (const [i, id] of some.entries()) {
        const fields = replies[i]
        if (fields?.state !== undefined) found.push(leaseOf(id, fields))
      }
    }
    return found
  }
  return {
    findLeases,
    findLease: async (id: string) => (await findLeases([id]))[0] ?? null,
    async findTask(id: string) {
      const fields = await orUnavailable(redis.hgetall(`${tag}t:${id}`))
      return fields.state === undefined ? null : taskOf(id, fields)
    },
    async findOpening(idempotencyKey: string) {
      const [task, bodySha256] = await orUnavailable(redis.hmget(`${tag}i:${idempotencyKey}`, 'task', 'body'))
      return task == null || bodySha256 == null ? null : { task, bodySha256 }
    },
    leasesOfTask: async (task: string) => (await orUnavailable(redis.smembers(`${tag}t:${task}:l`))).sort(),
    openTasksOf: async (holder: string) => (await orUnavailable(redis.smembers(`${tag}h:${holder}:t`))).sort(),
    /** Open tasks of everybody, the nearest deadline first. */
    openTasks: async (offset: number, limit: number) =>
      await orUnavailable(redis.zrange(`${tag}due:tasks`, `${offset}`, `${offset + limit - 1}`)),
    async isLive(id: string) {
      const lease = (await findLeases([id]))[0]
      if (!lease) return false
      return (await run('is-live', id, JSON.stringify(lockTargets(lease)))) === 1
    },
    scanLeases: (match: LeaseMatch, providers: readonly string[], cursor: string | null, limit: number) =>
      scanLeases({ run, findLeases }, match, providers, cursor, limit),
    liveLeases: (match: LeaseMatch, providers: readonly string[]) =>
      liveLeases({ redis, tag, findLeases }, match, providers),
    liveRefs: (match: LeaseMatch, providers: readonly string[]) =>
      // A lease does not repeat its principal's attributes: its task has to be read. A task names its leases itself. And a session
      // is known by a digest that no script can make.
      match.attributes === undefined && match.task === undefined && match.session === undefined
        ? liveRefs(run, match, providers)
        : refsOf(liveLeases({ redis, tag, findLeases }, match, providers)),
  }
}

async function* refsOf(pages: AsyncIterable<Lease[]>): AsyncGenerator<LeaseRef[]> {
  for await (const page of pages) yield page.map(({ id, record }) => ({ id, access: record.access }))
}

/** Whole steps of ZSCAN, as `liveLeases`, matched where they lie. */
async function* liveRefs(run: RunScript, match: LeaseMatch, providers: readonly string[]): AsyncGenerator<LeaseRef[]> {
  for (const name of providersOf(match, providers)) {
    let place = '0'
    do {
      const { next, found } = await scanStep(run, name, place, match, false)
      if (found.length > 0) yield refsFrom(found)
      place = next
    } while (place !== '0')
  }
}

function refsFrom(found: readonly string[]): LeaseRef[] {
  const refs: LeaseRef[] = []
  for (let i = 0; i + 1 < found.length; i += 2) refs.push({ id: found[i] ?? '', access: found[i + 1] as Access })
  return refs
}

interface Scan {
  redis: Connection
  tag: string
  findLeases(ids: readonly string[]): Promise<Lease[]>
}

/**
 * Whole steps of ZSCAN, so that nothing is passed over while leases end and leave the index under the reader's hands: a
 * cursor that counts entries within a step, as listings have it, would skip as many as have left.
 */
async function* liveLeases(scan: Scan, match: LeaseMatch, providers: readonly string[]): AsyncGenerator<Lease[]> {
  for await (const ids of match.task === undefined ? due(scan, match, providers) : below(scan, match.task)) {
    const live = (await scan.findLeases(ids)).filter((lease) => !isEnded(lease.state) && matches(lease, match))
    const meant = match.attributes === undefined ? live : await withAttributes(scan, live, match.attributes)
    if (meant.length > 0) yield meant
  }
}

async function* due({ redis, tag }: Scan, match: LeaseMatch, providers: readonly string[]): AsyncGenerator<string[]> {
  for (const name of providersOf(match, providers)) {
    let place = '0'
    do {
      const [next, flat] = await orUnavailable(redis.zscan(`${tag}due:${name}`, place, 'COUNT', pageSize))
      yield flat.filter((_, i) => i % 2 === 0)
      place = next
    } while (place !== '0')
  }
}

/** Leases of the task and of all below it; those that have ended stand among them for a day. */
async function* below({ redis, tag }: Scan, root: string): AsyncGenerator<string[]> {
  for (const tasks = [root]; tasks.length > 0; ) {
    const task = tasks.shift()
    const [leases, children] = await orUnavailable(
      Promise.all([redis.smembers(`${tag}t:${task}:l`), redis.smembers(`${tag}t:${task}:c`)]),
    )
    tasks.push(...children)
    for (let i = 0; i < leases.length; i += pageSize) yield leases.slice(i, i + pageSize)
  }
}

/** Those whose task, or one above it, was opened by a principal with all of these attributes: the leases do not repeat them. */
async function withAttributes(
  { redis, tag }: Scan,
  leases: readonly Lease[],
  wanted: NonNullable<LeaseMatch['attributes']>,
): Promise<Lease[]> {
  const tasks = [...new Set(leases.flatMap((lease) => lease.record.chain))]
  const texts = await orUnavailable(Promise.all(tasks.map((task) => redis.hget(`${tag}t:${task}`, 'rec'))))
  const meant = new Set(
    tasks.filter((_, i) => {
      const { attributes = {} } = JSON.parse(texts[i] ?? '{}') as Partial<TaskRecord>
      return Object.entries(wanted).every(([name, value]) => hasValue(attributes[name], value))
    }),
  )
  return leases.filter((lease) => lease.record.chain.some((task) => meant.has(task)))
}

/** A set has the value when it is one of its members. */
const hasValue = (actual: AttributeValue | undefined, wanted: AttributeValue) =>
  Array.isArray(actual) ? actual.includes(wanted) : actual === wanted
