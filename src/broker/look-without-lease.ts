// What a holder would hold and have been granted without one lease, for deciding that lease again: it must not be ended by a
// rule that counts the lease itself.
import type { Lease } from '../ledger/lease.js'
import type { HolderCounts } from '../ledger/rules-change.js'
import type { HolderLook } from '../ledger/way-out.js'

export type CountedLook = HolderLook & HolderCounts

/** The look as it would be without the lease; unchanged where the lease is not counted against this holder. */
export function lookWithoutLease(look: CountedLook, { record }: Lease): CountedLook {
  if (!record.holders.includes(look.id)) return look
  const held = (kind: string, name: string, names: readonly string[]) =>
    (look.heldCounts[`${kind}:${name}`] ?? 0) > 1 ? names : names.filter((one) => one !== name)
  const granted = (kind: string, name: string, names: readonly string[]) =>
    (look.grantedCounts[`${kind}:${name}`] ?? 0) > 1 ? names : names.filter((one) => one !== name)
  const { action, access, resource, sensitivity, ttl } = record
  return {
    ...look,
    activeLeases: Math.max(0, look.activeLeases - 1),
    holding: held('a', action, look.holding),
    holdingAccess: held('c', access, look.holdingAccess),
    holdingResources: held('r', resource, look.holdingResources),
    granted: granted('a', action, look.granted),
    grantedAccess: granted('c', access, look.grantedAccess),
    grantedResources: granted('r', resource, look.grantedResources),
    grantedSensitivities:
      sensitivity === undefined ? look.grantedSensitivities : granted('s', sensitivity, look.grantedSensitivities),
    grantedTtls: granted('t', String(ttl), look.grantedTtls.map(String)).map(Number),
  }
}
