// Whom a lease is counted against: the account and the session of its principal (I8); and whether a request goes beyond what
// the session had before, and beyond which lease of it (I9).
import type { Principal } from '../identity/principal.js'
import { holderId, sessionName } from '../ledger/keys.js'
import type { Holder } from '../ledger/task.js'
import type { HolderLook } from '../ledger/way-out.js'
import type { Access, Holdings, Resource } from '../policy/decision.js'

/** The principal's account, which remembers for `memorySeconds`, and its session. */
export function holdersOf(principal: Principal, memorySeconds: number): Holder[] {
  return [
    { id: holderId('account', principal.account), kind: 'account', windowMs: memorySeconds * 1000 },
    {
      id: holderId('session', sessionName(principal)),
      kind: 'session',
      windowMs: principal.instance === null ? principal.sessionSeconds * 1000 : 0,
    },
  ]
}

/** Those of one hop of a chain: each is judged by what its own session and account hold. */
export function ownHolders<Holding extends { readonly id: string }>(
  holders: readonly Holding[],
  who: Pick<Principal, 'account' | 'instance'>,
): Holding[] {
  const own = [holderId('account', who.account), holderId('session', sessionName(who))]
  return holders.filter((holder) => own.includes(holder.id))
}

/** A task's: its own first, then those above it that are others. */
export function withHoldersAbove(own: readonly Holder[], above: readonly Holder[]): Holder[] {
  const known = new Set(own.map((holder) => holder.id))
  return [...own, ...above.filter((holder) => !known.has(holder.id))]
}

/** The look at one kind of holder, as policies see it. A chain has several: what any of them holds counts. */
export function holdingsOf(looks: readonly HolderLook[], kind: 'account' | 'session'): Holdings {
  const of = looks.filter((look) => look.kind === kind)
  const all = (read: (look: HolderLook) => readonly string[]) => [...new Set(of.flatMap(read))].sort()
  return {
    activeLeases: of.reduce((sum, look) => sum + look.activeLeases, 0),
    holding: all((look) => look.holding),
    holdingAccess: all((look) => look.holdingAccess),
    holdingResources: all((look) => look.holdingResources),
    granted: all((look) => look.granted),
    grantedAccess: all((look) => look.grantedAccess),
    grantedResources: all((look) => look.grantedResources),
  }
}

/** The looks as they would be once this, too, is held: several credentials of one request are decided in turn. */
export function withHeld(
  looks: readonly HolderLook[],
  held: { action: string; access: Access; resource: Resource; ttlSeconds: number },
): HolderLook[] {
  const { action, access, resource } = held
  const sensitivity = sensitivityOf(resource)
  return looks.map((look) => ({
    ...look,
    activeLeases: look.activeLeases + 1,
    holding: [...look.holding, action],
    holdingAccess: [...look.holdingAccess, access],
    holdingResources: [...look.holdingResources, resource.id],
    granted: [...look.granted, action],
    grantedAccess: [...look.grantedAccess, access],
    grantedResources: [...look.grantedResources, resource.id],
    grantedSensitivities:
      sensitivity === null ? look.grantedSensitivities : [...look.grantedSensitivities, sensitivity],
    grantedTtls: [...look.grantedTtls, held.ttlSeconds],
  }))
}

/** As the configuration gives it; null where it gives none, or one that is no text. */
export function sensitivityOf(resource: Resource): string | null {
  const value = resource.attributes.sensitivity
  return typeof value === 'string' ? value : null
}

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

/** As `escalationOf`, where it does not matter beyond what. */
export const isEscalation = (...given: Parameters<typeof escalationOf>) => escalationOf(...given) !== null

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
  const own = sessions.map((look) => (member === null ? undefined : look.grantedBy?.[member]))
  return own.find((lease) => lease !== undefined) ?? sessions.find((look) => look.lastLease)?.lastLease ?? null
}
