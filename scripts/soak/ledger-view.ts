// What stands in the ledger, read in Redis past Hallpass.
import { isEnded, type Lease } from '../../src/ledger/lease.js'
import { leaseOf } from '../../src/ledger/replies.js'
import type { SoakRedis } from './ground.js'

export interface LedgerView {
  readonly leases: ReadonlyMap<string, Lease>
  /** Leases, tasks and orders that are past their time and not ended. */
  readonly overdue: readonly string[]
}

const lateMs = 5000

export async function readLedger({ client, prefix }: SoakRedis): Promise<LedgerView> {
  const tag = `{${prefix}}:`
  const leases = new Map<string, Lease>()
  for (let cursor = '0'; ; ) {
    const [next, names] = await client.scan(cursor, 'MATCH', `${tag}l:lease_*`, 'COUNT', 1000)
    const found = await Promise.all(names.map((name) => client.hgetall(name)))
    for (const [i, fields] of found.entries()) {
      const id = (names[i] ?? '').slice(`${tag}l:`.length)
      if (/^lease_[0-9a-z]{26}$/.test(id) && fields.state !== undefined) leases.set(id, leaseOf(id, fields))
    }
    cursor = next
    if (cursor === '0') break
  }
  const now = Date.now()
  const isStuck = ({ state, expiresAt }: Lease) => (state === 'active' ? expiresAt + lateMs < now : !isEnded(state))
  const overdue = [...leases.values()].filter(isStuck).map((lease) => `${lease.id} is ${lease.state}`)
  for (const index of ['due:tasks', 'due:revocations']) {
    const due = await client.zrangebyscore(`${tag}${index}`, '-inf', now - lateMs)
    overdue.push(...due.map((id) => `${id} waits in ${index}`))
  }
  const owed = await client.zcard(`${tag}owed`)
  if (owed > 0) overdue.push(`${owed} audit records are owed`)
  return { leases, overdue }
}

export const activeOf = (view: LedgerView, provider: string) =>
  new Set(
    [...view.leases.values()].filter((l) => l.record.provider === provider && l.state === 'active').map((l) => l.id),
  )
