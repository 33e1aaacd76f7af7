// Redis replies → entities. What stands in Redis was written by us, so a missing member is a bug or a tampered ledger: it throws.
import type { EndReason, Lease, LeaseState, Receipt } from './lease.js'
import type { Reply } from './scripts.js'
import { readActivation, readRecord } from './stored-lease.js'
import type { Task } from './task.js'
import type { HolderLook } from './way-out.js'

/** The stored part of a task that never changes. */
export type TaskRecord = Pick<
  Task,
  | 'principal'
  | 'account'
  | 'instance'
  | 'attributes'
  | 'chain'
  | 'parent'
  | 'depth'
  | 'purpose'
  | 'jkt'
  | 'binding'
  | 'ceiling'
  | 'delegation'
  | 'agent'
  | 'person'
  | 'delegator'
> & { readonly holders: readonly (readonly [string, 'account' | 'session', number])[] }

/** What is stored only of a task that has it: most have none of these. */
export const chainMembers = ({
  binding,
  ceiling,
  delegation,
  agent,
  person,
  delegator,
}: Pick<Task, 'binding' | 'ceiling' | 'delegation' | 'agent' | 'person' | 'delegator'>) => ({
  ...(binding === undefined || binding === 'none' ? {} : { binding }),
  ...(ceiling === undefined ? {} : { ceiling }),
  ...(delegation === undefined ? {} : { delegation }),
  ...(agent === undefined ? {} : { agent }),
  ...(person === undefined ? {} : { person }),
  ...(delegator === undefined ? {} : { delegator }),
})

export type Fields = Readonly<Record<string, string>>

/** HGETALL's flat list as an object. */
export function fieldsOf(reply: Reply | undefined): Fields {
  const list = Array.isArray(reply) ? reply : []
  const fields: Record<string, string> = Object.create(null) as Record<string, string>
  for (let i = 0; i + 1 < list.length; i += 2) fields[String(list[i])] = String(list[i + 1])
  return fields
}

function required(fields: Fields, name: string): string {
  const value = fields[name]
  if (value === undefined) throw new Error(`the ledger holds a record without ${name}`)
  return value
}

const numberOrNull = (text: string | undefined) => (text === undefined ? null : Number(text))

/** A task's hash → Task. */
export function taskOf(id: string, fields: Fields): Task {
  const { holders, ...record } = JSON.parse(required(fields, 'rec')) as TaskRecord
  return {
    id,
    ...record,
    holders: holders.map(([holder, kind, windowMs]) => ({ id: holder, kind, windowMs })),
    state: fields.state === 'open' ? 'open' : 'ended',
    outcome: fields.outcome ?? null,
    openedAt: Number(required(fields, 'opened')),
    expiresAt: Number(required(fields, 'expires')),
    endedAt: numberOrNull(fields.ended),
    activeLeases: Number(fields.live ?? 0),
  }
}

/** A lease's hash → Lease. */
export function leaseOf(id: string, fields: Fields): Lease {
  const out = fields.out === undefined ? null : readActivation(id, fields.out)
  return {
    id,
    record: readRecord(required(fields, 'rec')),
    state: required(fields, 'state') as LeaseState,
    expiresAt: Number(required(fields, 'expires')),
    issuedAt: numberOrNull(fields.issued),
    providerExpiresAt: out?.providerExpiresAt ?? null,
    providerRef: out?.providerRef ?? null,
    fingerprints: out?.fingerprints ?? [],
    sealedHandle: fields.handle ?? null,
    endReason: (fields.reason as EndReason | undefined) ?? null,
    endActor: fields.actor ?? null,
    endedAt: numberOrNull(fields.ended),
    receipt: fields.receipt === undefined ? null : (JSON.parse(fields.receipt) as Receipt),
    attempts: Number(fields.tries ?? 0),
    forced: fields.forced === '1',
    ...(fields.lost === '1' ? { notesLost: true } : {}),
  }
}

/** What Lua's JSON has of a list: an empty one is `{}` there. */
export function listOf(json: string): string[] {
  const list: unknown = JSON.parse(json)
  return Array.isArray(list) ? list.map(String) : []
}

/** { id, kind, fields, granted members } → what a holder holds and was granted. `now` bounds the denials counted. */
export function holderLookOf(reply: Reply, now: number): HolderLook {
  const [id, kind, hash, members] = reply as [string, 'account' | 'session', string, string]
  const fields = fieldsOf(listOf(hash))
  const granted = listOf(members)
  const held = byLetter(Object.keys(fields).flatMap((name) => (name.startsWith('h:') ? [name.slice(2)] : [])))
  const had = byLetter(granted)
  return {
    id,
    kind,
    version: fields.v ?? '0',
    activeLeases: Number(fields.live ?? 0),
    holding: held.a.sort(),
    holdingAccess: held.c.sort(),
    holdingResources: held.r.sort(),
    granted: had.a.sort(),
    grantedAccess: had.c.sort(),
    grantedResources: had.r.sort(),
    grantedSensitivities: had.s.sort(),
    grantedTtls: had.t.map(Number),
    grantedBy: newestOf(fields),
    recentDenials: denialsWithin(fields, now, 10),
    lastLease: fields.last ?? null,
  }
}

/** `a:config.read` and its like: action, access class, resource, sensitivity, time to live. */
function byLetter(members: readonly string[]) {
  const sorted = { a: [] as string[], c: [] as string[], r: [] as string[], s: [] as string[], t: [] as string[] }
  for (const member of members) {
    const letter = member.charAt(0)
    if (member.charAt(1) === ':' && isLetter(letter, sorted)) sorted[letter].push(member.slice(2))
  }
  return sorted
}

const isLetter = <Letter extends string>(letter: string, of: Record<Letter, unknown>): letter is Letter =>
  Object.hasOwn(of, letter)

function newestOf(fields: Fields): Record<string, string> {
  const newest: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [name, leases] of Object.entries(fields)) {
    if (name.startsWith('w:')) newest[name.slice(2)] = `lease_${leases.split(' ')[0]}`
  }
  return newest
}

function denialsWithin(fields: Fields, now: number, minutes: number): number {
  const minute = Math.floor(now / 60_000)
  let count = 0
  for (let m = minute - minutes + 1; m <= minute; m++) {
    if (fields[`d:${m % 12}:m`] === String(m)) count += Number(fields[`d:${m % 12}`] ?? 0)
  }
  return count
}
