// What lives at the Vault, looked at there again and again, past Hallpass: until when each lease's token and secret were seen.
import type { VaultInStack } from '../vault-in-stack.js'
import { pause } from '../wire-checks.js'

export interface Sightings {
  /** Lease → when its token or its secret was last seen alive, epoch milliseconds. */
  readonly token: ReadonlyMap<string, number>
  readonly secret: ReadonlyMap<string, number>
  /** What lived and carried no lease's name. */
  readonly nameless: ReadonlySet<string>
  stop(): Promise<void>
}

const everyMs = 250

export function watchVault(beside: VaultInStack): Sightings {
  const token = new Map<string, number>()
  const secret = new Map<string, number>()
  const nameless = new Set<string>()
  const leaseOf = new Map<string, string>()
  let stopped = false
  const look = async () => {
    for (const [accessor, lease] of await beside.leasesByAccessor()) leaseOf.set(accessor, lease)
    const now = Date.now()
    const { accessors, leases } = beside.vault.alive()
    const note = (where: Map<string, number>, accessor: string) => {
      const lease = leaseOf.get(accessor)
      // Minted since the accessors were read: the next look names it.
      if (lease !== undefined) where.set(lease, now)
      if (lease === '') nameless.add(accessor)
    }
    for (const accessor of accessors) note(token, accessor)
    for (const { accessor } of leases) note(secret, accessor)
  }
  const run = async () => {
    while (!stopped) {
      await look()
      await pause(everyMs)
    }
  }
  const running = run()
  return {
    token,
    secret,
    nameless,
    async stop() {
      stopped = true
      await running
    },
  }
}
