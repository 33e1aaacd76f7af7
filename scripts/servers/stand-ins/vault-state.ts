// What the Vault stand-in remembers: tokens and leases that really run out, in memory. Its clock is the machine's.
import { randomBytes, randomUUID } from 'node:crypto'

export interface StandInToken {
  id: string
  accessor: string
  policies: string[]
  meta: Record<string, string>
  displayName: string
  createdAt: number
  expiresAt: number
  /** 0: as often as one likes. */
  numUses: number
  role: string | null
}

export interface StandInLease {
  id: string
  username: string
  password: string
  expiresAt: number
  maxExpiresAt: number
  renewable: boolean
  /** Accessor of the token that read it: dies with it. */
  accessor: string
}

export class VaultState {
  readonly #tokens = new Map<string, StandInToken>()
  readonly #leases = new Map<string, StandInLease>()

  createToken(parts: Omit<StandInToken, 'id' | 'accessor' | 'createdAt'>): StandInToken {
    const token = {
      ...parts,
      createdAt: Date.now(),
      id: `hvs.${randomBytes(24).toString('base64url')}`,
      accessor: randomBytes(18).toString('base64url'),
    }
    this.#tokens.set(token.accessor, token)
    return token
  }

  findToken(id: string): StandInToken | undefined {
    return this.tokens().find((token) => token.id === id)
  }

  findAccessor(accessor: string): StandInToken | undefined {
    return this.tokens().find((token) => token.accessor === accessor)
  }

  /** Takes one use, as Vault does before it looks at any policy. Returns what to run after the answer. */
  useToken(token: StandInToken): () => void {
    if (token.numUses === 0) return () => {}
    token.numUses--
    // The last use ends the token, and all that it read, once the request is over.
    return token.numUses === 0 ? () => this.revokeToken(token) : () => {}
  }

  revokeToken(token: StandInToken): void {
    this.#tokens.delete(token.accessor)
    for (const lease of this.#leases.values()) if (lease.accessor === token.accessor) this.#leases.delete(lease.id)
  }

  createLease(
    path: string,
    token: StandInToken,
    role: { defaultTtl: number; maxTtl: number; renewable: boolean },
  ): StandInLease {
    const now = Date.now()
    const lease = {
      id: `${path}/${randomBytes(12).toString('hex')}`,
      username: `v-token-${randomUUID().slice(0, 8)}-${Math.floor(now / 1000)}`,
      password: randomBytes(15).toString('base64url'),
      expiresAt: now + Math.min(role.defaultTtl, role.maxTtl) * 1000,
      maxExpiresAt: now + role.maxTtl * 1000,
      renewable: role.renewable,
      accessor: token.accessor,
    }
    this.#leases.set(lease.id, lease)
    return lease
  }

  findLease(id: string): StandInLease | undefined {
    return this.leases().find((lease) => lease.id === id)
  }

  revokeLease(id: string): void {
    this.#leases.delete(id)
  }

  tokens(): StandInToken[] {
    this.#expire()
    return [...this.#tokens.values()]
  }

  leases(): StandInLease[] {
    this.#expire()
    return [...this.#leases.values()]
  }

  #expire(): void {
    const now = Date.now()
    for (const token of this.#tokens.values()) if (token.expiresAt <= now) this.revokeToken(token)
    for (const lease of this.#leases.values()) if (lease.expiresAt <= now) this.#leases.delete(lease.id)
  }
}
