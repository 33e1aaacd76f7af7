// Whether a request goes beyond what the session had before, and beyond which lease of it (I9).
import type { HolderLook } from '../ledger/ledger.js'
import type { Access, Resource } from '../policy/decision.js'
import { sensitivityOf } from './holders.js'

export interface Escalation {
  /** The session's newest lease of the highest class, sensitivity or lifetime that it had: what is gone beyond. */
  readonly follows: string | null
}

const accessOrder: readonly string[] = ['read', 'write', 'deploy', 'admin']
const sensitivityOrder: readonly string[] = ['low', 'medium', 'high', 'critical']

/**
 * A higher access class, a more sensitive resource, a longer lifetime than the session had before, looked for in this order;
 * null when none is. These orders serve this question alone: no class implies another. Null on a session's first request.
 */
export function escalationOf(
  looks: readonly HolderLook[],
  sought: { access: Access; resource: Resource; ttlSeconds: number },
): Escalation | null {
  const sessions = looks.filter((look) => look.kind === 'session')
  if (sessions.every((look) => look.granted.length === 0)) return null
  const had = (read: (look: HolderLook) => readonly string[]) => sessions.flatMap(read)
  const beyond = (member: string | null) => ({ follows: leaseBehind(sessions, member) })

  const access = highest(
    had((look) => look.grantedAccess),
    accessOrder,
  )
  if (accessOrder.indexOf(sought.access) > accessOrder.indexOf(access ?? '')) return beyond(access && `c:${access}`)

  const sensitivities = had((look) => look.grantedSensitivities)
  if (isMoreSensitive(sensitivityOf(sought.resource), sensitivities)) {
    const sensitivity = highest(sensitivities, sensitivityOrder)
    return beyond(sensitivity && `s:${sensitivity}`)
  }

  const ttlSeconds = Math.max(0, ...sessions.flatMap((look) => look.grantedTtls))
  return sought.ttlSeconds > ttlSeconds ? beyond(`t:${ttlSeconds}`) : null
}

function highest(had: readonly string[], order: readonly string[]): string | null {
  return had.reduce<string | null>(
    (best, one) => (best === null || order.indexOf(one) > order.indexOf(best) ? one : best),
    null,
  )
}

function isMoreSensitive(asked: string | null, had: readonly string[]): boolean {
  if (asked === null || had.includes(asked)) return false
  const rank = sensitivityOrder.indexOf(asked)
  // A value outside the order that the session never had counts as higher: better one approval too many.
  return rank === -1 || rank > Math.max(-1, ...had.map((name) => sensitivityOrder.indexOf(name)))
}

/** Where nothing of that kind was had (a resource without a sensitivity), the session's newest lease. */
function leaseBehind(sessions: readonly HolderLook[], member: string | null): string | null {
  const own = sessions.map((look) => (member === null ? undefined : look.grantedBy[member]))
  return own.find((lease) => lease !== undefined) ?? sessions.find((look) => look.lastLease)?.lastLease ?? null
}
