// What must be true of every run once its deadlines have passed, read past Hallpass: ledger, audit files, and the Vault itself.
import type { Lease } from '../../../src/api/leases.js'
import type { AuditLine } from '../stack.js'
import { introspect, lookIntoLedger, until } from '../wire-checks.js'
import type { Ground } from './ground.js'
import type { Run } from './scenarios.js'

export interface Seen {
  readonly leases: readonly Lease[]
  readonly records: readonly AuditLine[]
  /** Lease → how often the Vault was asked to mint for it, and when first. */
  readonly mints: ReadonlyMap<string, readonly number[]>
}

/** Natural end, and a minute for a provider that cannot say more: the longest that a lease is looked after. */
const longestSeconds = 40 + 60 + 15
const lateMs = 5000
/** What was ordered to end is dead at the provider within this of both programs running: a claim's end, and retries. */
const orderedMs = 20_000

/** Waits until nothing is left to look after, then reads everything. Throws with what is stuck. */
export async function readEverything(ground: Ground): Promise<Seen> {
  const { stack, beside } = ground
  const ledger = lookIntoLedger(stack)
  try {
    await until(ledger.due, (due) => due.length === 0, longestSeconds)
    const token = await stack.operatorToken()
    const leases: Lease[] = []
    for (const id of await ledger.leaseIds())
      leases.push((await ground.persist('GET', `/v1/leases/${id}`, { token })).body as unknown as Lease)
    return { leases, records: stack.auditRecords(), mints: mintsOf(beside.vault.calls) }
  } finally {
    ledger.close()
  }
}

function mintsOf(calls: readonly { path: string; body: unknown; at: number }[]): Map<string, number[]> {
  const mints = new Map<string, number[]>()
  for (const { path, body, at } of calls) {
    if (!path.startsWith('auth/token/create')) continue
    const { meta = {} } = body as { meta?: Record<string, string> }
    const lease = Object.values(meta).find((value) => value.startsWith('lease_')) ?? ''
    mints.set(lease, [...(mints.get(lease) ?? []), at])
  }
  return mints
}

/** What is wrong with the whole, whichever run it came from. */
export async function problemsOfAll(ground: Ground, { leases, records, mints }: Seen): Promise<string[]> {
  const { stack, sightings } = ground
  const ledger = lookIntoLedger(stack)
  const known = new Set(leases.map((lease) => lease.id))
  const orders = (await ledger.keysOf('rev:rev_*')).map((key) => /rev_[0-9a-z]{26}/.exec(key)?.[0] ?? '')
  const overdue: string[] = []
  for (const what of ['due:tasks', 'due:revocations'])
    overdue.push(...(await ledger.redis.zrangebyscore(ledger.key(what), '-inf', Date.now() - lateMs)))
  ledger.close()
  const recordsOf = (event: string, member: string) =>
    new Set(records.filter((record) => record.event === event).map((record) => String(record[member])))
  const [reserved, ended] = [recordsOf('lease.reserved', 'lease'), recordsOf('lease.ended', 'lease')]
  const ordered = recordsOf('revocation.ordered', 'revocation')
  const verified = await stack.run('audit', 'verify')
  return [
    ...named('nobody knows whose it is, and it lives', [...sightings.nameless]),
    ...named(
      'lives at the Vault and the ledger does not know it',
      [...sightings.token.keys()].filter(absentFrom(known)),
    ),
    ...named('minted without a record', [...mints.keys()].filter(absentFrom(reserved))),
    ...named('reserved in the audit and never ended there', [...reserved].filter(absentFrom(ended))),
    ...named('ordered and not in the audit', [...new Set(orders)].filter(absentFrom(ordered))),
    ...named('due and not carried out', overdue),
    ...(verified.code === 0 ? [] : [`audit verify: ${verified.stdout}${verified.stderr}`]),
  ]
}

const absentFrom = (set: ReadonlySet<string>) => (one: string) => !set.has(one)
const named = (what: string, which: readonly string[]) => which.map((one) => `${what}: ${one}`)

/** What is wrong with one run. */
export async function problemsOfRun(ground: Ground, run: Run, seen: Seen): Promise<string[]> {
  const problems = [...run.problems]
  const leases = seen.leases.filter((lease) => lease.account === run.account)
  if (leases.length > run.purchases) problems.push(`${leases.length} leases for ${run.purchases} purchases`)
  for (const lease of leases) problems.push(...problemsOfLease(ground, run, lease, seen))
  // The run's own token may have expired since.
  const asker = await ground.stack.ciToken()
  for (const [lease, { secret }] of run.answered) {
    if (!leases.some(({ id }) => id === lease)) problems.push(`${lease} was answered and is not in the ledger`)
    if (secret.startsWith('ey') && (await introspect(ground.stack, asker, secret)).active !== false)
      problems.push(`${lease} is still accepted`)
  }
  for (const task of run.tasks) problems.push(...problemsOfTask(task, seen.records))
  return problems
}

function problemsOfLease({ sightings }: Ground, run: Run, lease: Lease, { records, mints }: Seen): string[] {
  const { id, state } = lease
  const problems: string[] = []
  const events = records.filter((record) => record.lease === id).map((record) => record.event)
  const endedAt = lease.ended_at === null ? Number.POSITIVE_INFINITY : Date.parse(lease.ended_at)
  const [token, secret] = [sightings.token.get(id) ?? 0, sightings.secret.get(id) ?? 0]
  const alive = Math.max(token, secret)
  if (!['revoked', 'expired', 'void'].includes(state)) problems.push(`${id} is ${state}`)
  if (!events.includes('lease.ended')) problems.push(`${id} has no record of its end`)
  if (run.answered.has(id) && !events.includes('lease.issued')) problems.push(`${id} was answered without a record`)
  if (run.answered.has(id) && state === 'void') problems.push(`${id} was answered and is said to be never minted`)
  if ((mints.get(id)?.length ?? 0) > 1) problems.push(`${id} was minted ${mints.get(id)?.length} times`)
  if (alive > Date.parse(lease.expires_at) + lateMs) problems.push(`${id} outlived its deadline`)
  // A token that was made and never answered can be held by nobody: it ends by itself, and may not have read a secret.
  if (state === 'void' ? secret > 0 : alive > endedAt + 1000) problems.push(`${id} lives on although it is ${state}`)
  const order = Math.max(run.ended.get(id) ?? Number.POSITIVE_INFINITY, run.aliveAt)
  if (state !== 'void' && alive > order + orderedMs)
    problems.push(`${id} lived ${alive - order} ms after its end was ordered`)
  return problems
}

function problemsOfTask(task: string, records: readonly AuditLine[]): string[] {
  const events = records.filter((record) => record.task === task).map((record) => record.event)
  return events.includes('task.opened') ? [] : [`${task} was opened without a record`]
}
