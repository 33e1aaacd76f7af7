// Which of the operators' orders belong on a task's timeline: those whose target is the task, something in it, or whoever works
// in it, and the `policy apply` by which changed rules ended a lease of it. Known from the timeline's own records, so that files and
// a broker's copy answer alike.
import type { AuditEntry } from '../api/audit.js'
import { isClaimed } from '../audit/record.js'

const orderEvents: readonly string[] = ['lock.set', 'lock.removed', 'revocation.ordered', 'rules.change_applied']

/** Orders name a target instead of a task, so they are kept aside for every timeline to look at. */
export const isOrder = ({ event }: { readonly event: string }): boolean => orderEvents.includes(event)

export class OrderMatcher {
  readonly #names = new Set<string>()
  #from = ''
  #to = ''

  /** Learns from a record of one of the timeline's tasks whom and what an order could name. */
  learn(entry: AuditEntry): void {
    if (this.#from === '' || entry.time < this.#from) this.#from = entry.time
    if (entry.time > this.#to) this.#to = entry.time
    // What a worker merely claims to have touched would show it the orders on whatever it cares to name.
    if (isClaimed(entry)) return
    const { record, decision, provider } = entry
    for (const [name, value] of Object.entries({ ...pick(entry), ...pick(decision), ...pick(record), provider })) {
      if (typeof value === 'string') this.#names.add(`${name}=${value}`)
    }
    if (entry.event === 'lease.redecided') this.#names.add(`rules=${String(entry.rules)}`)
    if (typeof entry.principal === 'string') this.#names.add(`issuer=${entry.principal.split(':', 1)[0]}`)
  }

  /** Whether an order reaches somebody or something on the timeline, while that goes on. */
  matches(order: AuditEntry): boolean {
    if (order.time < this.#from || order.time > this.#to) return false
    if (order.event === 'rules.change_applied') return this.#names.has(`rules=${String(order.rules)}`)
    const { target } = order
    if (typeof target !== 'object' || target === null) return false
    const where = (target as { where?: unknown }).where
    return this.#hasAll(typeof where === 'object' && where !== null ? where : target)
  }

  #hasAll(target: object): boolean {
    const wanted = Object.entries(target)
    return wanted.length > 0 && wanted.every(([name, value]) => name === 'all' || this.#names.has(`${name}=${value}`))
  }
}

const named = ['task', 'lease', 'principal', 'account', 'action', 'resource', 'provider'] as const

function pick(holder: unknown): Record<string, unknown> {
  if (typeof holder !== 'object' || holder === null) return {}
  const members = holder as Record<string, unknown>
  return Object.fromEntries(named.flatMap((name) => (typeof members[name] === 'string' ? [[name, members[name]]] : [])))
}
