// How a lease's token says at Vault whose it is. Several deployments, and several providers of one, may share a Vault and
// even a token role: a token is ours only where issuer and provider are.
import { isId } from '../core/ids.js'
import { declaredText } from './intent.js'
import type { LeaseToIssue, Mark } from './provider.js'

export interface VaultOwner {
  /** Of the whole deployment: brokers with one issuer share one ledger. */
  readonly issuer: string
  readonly provider: string
}

/** What the ledger keeps: it knows issuer and provider itself. */
export function markOf(lease: string): Mark {
  return { hallpass_lease: lease }
}

/** Vault's own bound on a value. */
const mostMeta = 512

/**
 * The metadata of the lease's token, which Vault writes beside each use of it: whose, on whose behalf, for what. Whoever holds
 * the token can read it, so nothing secret.
 */
export function metaOf(owner: VaultOwner, lease: LeaseToIssue): Record<string, string> {
  const { id, taskId, principal, action, resource, chain } = lease
  const declared = declaredText(lease)
  const all = {
    hallpass_lease: id,
    hallpass_issuer: owner.issuer,
    hallpass_provider: owner.provider,
    hallpass_task: taskId,
    hallpass_principal: principal.slice(0, mostMeta),
    hallpass_action: action,
    hallpass_resource: resource,
  }
  return {
    ...all,
    ...(declared === null ? {} : { hallpass_declared: declared.slice(0, mostMeta) }),
    // The caller, then who stands above it.
    ...(chain.length < 2 ? {} : { hallpass_chain: chainText(chain).slice(0, mostMeta) }),
  }
}

const chainText = (chain: LeaseToIssue['chain']) => chain.map(({ principal }) => principal).join(' ')

/** The lease that a token with this metadata was made for by this owner; null for everybody else's token. */
export function findLeaseIn(meta: Readonly<Record<string, string>>, owner: VaultOwner): string | null {
  const { hallpass_lease: lease, hallpass_issuer: issuer, hallpass_provider: provider } = meta
  if (issuer !== owner.issuer || provider !== owner.provider) return null
  return lease !== undefined && isId('lease', lease) ? lease : null
}
