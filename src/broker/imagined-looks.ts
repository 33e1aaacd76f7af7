// The looks that the ledger would give for a situation that is only described: in a test of policies, or in a simulation.
import type { HolderLook } from '../ledger/way-out.js'
import type { Access, Resource } from '../policy/decision.js'
import { sensitivityOf } from './holders.js'

export interface ImaginedLease {
  readonly action: string
  readonly access: Access
  readonly resource: Resource
  readonly ttlSeconds: number
}

/** `granted`: all that was, with what is held still. */
export function imaginedLook(
  kind: HolderLook['kind'],
  held: readonly ImaginedLease[],
  granted: readonly ImaginedLease[],
): HolderLook {
  return {
    id: kind,
    kind,
    version: '0',
    activeLeases: held.length,
    holding: held.map(({ action }) => action),
    holdingAccess: held.map(({ access }) => access),
    holdingResources: held.map(({ resource }) => resource.id),
    granted: granted.map(({ action }) => action),
    grantedAccess: granted.map(({ access }) => access),
    grantedResources: granted.map(({ resource }) => resource.id),
    grantedSensitivities: granted.flatMap(({ resource }) => sensitivityOf(resource) ?? []),
    grantedTtls: granted.map(({ ttlSeconds }) => ttlSeconds),
    recentDenials: 0,
    lastLease: null,
  }
}
