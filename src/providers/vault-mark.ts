// How a lease's token says at Vault whose it is. Several deployments, and several providers of one, may share a Vault and
// even a token role: a token is ours only where issuer and provider are.
import { isId } from '../core/ids.js'
import type { Mark } from './provider.js'

export interface VaultOwner {
  /** Of the whole deployment: brokers with one issuer share one ledger. */
  readonly issuer: string
  readonly provider: string
}

/** What the ledger keeps: it knows issuer and provider itself. */
export function markOf(lease: string): Mark {
  return { hallpass_lease: lease }
}

/** The metadata of the lease's token. Whoever holds the token can read it, so nothing secret. */
export function metaOf(
  owner: VaultOwner,
  lease: string,
  chain: readonly { readonly principal: string }[] = [],
): Record<string, string> {
  const own = { hallpass_lease: lease, hallpass_issuer: owner.issuer, hallpass_provider: owner.provider }
  if (chain.length < 2) return own
  // The caller, then who stands above it: Vault's own log says on whose behalf. Bounded like every name at Vault.
  return {
    ...own,
    hallpass_chain: chain
      .map(({ principal }) => principal)
      .join(' ')
      .slice(0, 512),
  }
}

/** The lease that a token with this metadata was made for by this owner; null for everybody else's token. */
export function findLeaseIn(meta: Readonly<Record<string, string>>, owner: VaultOwner): string | null {
  const { hallpass_lease: lease, hallpass_issuer: issuer, hallpass_provider: provider } = meta
  if (issuer !== owner.issuer || provider !== owner.provider) return null
  return lease !== undefined && isId('lease', lease) ? lease : null
}
