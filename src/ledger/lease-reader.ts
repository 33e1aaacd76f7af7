// Reading leases and tasks: by id, by task, and pages of all that may be alive.
import { invalidField } from '../core/errors.js'
import type { AttributeValue } from '../identity/principal.js'
import type { Access } from '../policy/decision.js'
import type { Connection } from './connection.js'
import { holderId } from './keys.js'
import { actorsOf, isEnded, issuerOf, type Lease, lockTargets } from './lease.js'
import type { LeaseMatch, LeaseRef } from './ledger.js'
import { leaseOf, type TaskRecord, taskOf } from './replies.js'
import type { RunScript } from './scripts.js'
import { storedFingerprint } from './stored-lease.js'
import { orUnavailable } from './unavailable.js'

/** Leases read at once: a task that lived for hours has thousands, and others wait for Redis, too. */
const atOnce = 500

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
      scanLeases({ redis, tag, findLeases }, match, providers, cursor, limit),
    liveLeases: (match: LeaseMatch, providers: readonly string[]) =>
      liveLeases({ redis, tag, findLeases }, match, providers),
    liveRefs: (match: LeaseMatch, providers: readonly string[]) =>
      // A lease does not repeat its principal's attributes: its task has to be read.
      match.attributes === undefined
        ? liveRefs(run, match, providers)
        : refsOf(liveLeases({ redis, tag, findLeases }, match, providers)),
  }
}

async function* refsOf(pages: AsyncIterable<Lease[]>): AsyncGenerator<LeaseRef[]> {
  for await (const page of pages) yield page.map(({ id, record }) => ({ id, access: record.access }))
}

/** Whole steps of ZSCAN, as `liveLeases`, matched where they lie. */
async function* liveRefs(run: RunScript, match: LeaseMatch, providers: readonly string[]): AsyncGenerator<LeaseRef[]> {
  const { session, fingerprint, provider, ...rest } = match
  const wanted = JSON.stringify({
    ...rest,
    ...(session === undefined ? {} : { session: holderId('session', session) }),
    ...(fingerprint === undefined ? {} : { fingerprint: storedFingerprint(fingerprint) }),
  })
  for (const name of providers) {
    if (provider !== undefined && provider !== name) continue
    let place = '0'
    do {
      const [next, ...found] = (await run('scan-live', name, place, wanted)) as [string, ...string[]]
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
 * A page of the leases that may be alive and match. The cursor names a provider's due index, the place in it and how many of
 * that place's entries were given already: a small sorted set comes in one piece, however few were asked for.
 */
async function scanLeases(
  scan: Scan,
  match: LeaseMatch,
  providers: readonly string[],
  cursor: string | null,
  limit: number,
) {
  const names = match.provider === undefined ? providers : providers.filter((name) => name === match.provider)
  let at = parseCursor(cursor)
  const leases: Lease[] = []
  while (at.provider < names.length) {
    const [next, flat] = await orUnavailable(
      scan.redis.zscan(`${scan.tag}due:${names[at.provider]}`, at.place, 'COUNT', 500),
    )
    const ids = flat.filter((_, i) => i % 2 === 0)
    const found = await scan.findLeases(ids.slice(at.given))
    for (const lease of found) {
      at = { ...at, given: ids.indexOf(lease.id) + 1 }
      if (matches(lease, match)) leases.push(lease)
      if (leases.length >= limit) return { leases, cursor: formatCursor(at) }
    }
    at = next === '0' ? { provider: at.provider + 1, place: '0', given: 0 } : { ...at, place: next, given: 0 }
  }
  return { leases, cursor: null }
}

/**
 * Whole steps of ZSCAN, so that nothing is passed over while leases end and leave the index under the reader's hands: a
 * cursor that counts entries within a step, as listings have it, would skip as many as have left.
 */
async function* liveLeases(scan: Scan, match: LeaseMatch, providers: readonly string[]): AsyncGenerator<Lease[]> {
  for (const name of providers) {
    if (match.provider !== undefined && match.provider !== name) continue
    let place = '0'
    do {
      const [next, flat] = await orUnavailable(scan.redis.zscan(`${scan.tag}due:${name}`, place, 'COUNT', 100))
      const found = await scan.findLeases(flat.filter((_, i) => i % 2 === 0))
      const live = found.filter((lease) => !isEnded(lease.state) && matches(lease, match))
      const meant = match.attributes === undefined ? live : await withAttributes(scan, live, match.attributes)
      if (meant.length > 0) yield meant
      place = next
    } while (place !== '0')
  }
}

/** Those whose task, or one above it, was opened by a principal with all of these attributes. A lease's own record does not repeat them. */
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

interface Place {
  provider: number
  place: string
  given: number
}

const formatCursor = (at: Place) => Buffer.from(`${at.provider}.${at.place}.${at.given}`).toString('base64url')

function parseCursor(cursor: string | null): Place {
  if (cursor === null) return { provider: 0, place: '0', given: 0 }
  const match = /^(\d{1,4})\.(\d{1,20})\.(\d{1,6})$/.exec(Buffer.from(cursor, 'base64url').toString('utf8'))
  if (!match) throw invalidField('cursor', 'expected a cursor from an earlier answer')
  return { provider: Number(match[1]), place: match[2] ?? '0', given: Number(match[3]) }
}

/** Whoever is named by the filter is meant with all that is below it in a chain: its end ends that, too (I7). */
function isOfAny({ principal, account, issuer }: LeaseMatch, record: Lease['record']): boolean {
  const actors = actorsOf(record)
  return (
    (principal === undefined || actors.some((actor) => actor.principal === principal)) &&
    (account === undefined || actors.some((actor) => actor.account === account)) &&
    (issuer === undefined || actors.some((actor) => issuerOf(actor.principal) === issuer))
  )
}

/** Whether every part of the filter that is given holds for the lease. */
export function matches(lease: Lease, match: LeaseMatch): boolean {
  const { record } = lease
  const is = <T>(wanted: T | undefined, actual: T) => wanted === undefined || wanted === actual
  return (
    is(match.lease, lease.id) &&
    (match.task === undefined || record.chain.includes(match.task)) &&
    isOfAny(match, record) &&
    is(match.action, record.action) &&
    is(match.resource, record.resource) &&
    is(match.provider, record.provider) &&
    (match.state === 'live' || is(match.state, lease.state)) &&
    (match.session === undefined || record.holders.includes(holderId('session', match.session))) &&
    (match.policy === undefined || record.policies.includes(match.policy)) &&
    (match.fingerprint === undefined || lease.fingerprints.includes(match.fingerprint)) &&
    (match.issuedAfter === undefined || (lease.issuedAt ?? Number.POSITIVE_INFINITY) > match.issuedAfter) &&
    (match.issuedBefore === undefined || (lease.issuedAt ?? Number.POSITIVE_INFINITY) < match.issuedBefore)
  )
}
