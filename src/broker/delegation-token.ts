// The token of a sub-agent without an identity of its own: a JWT of ours that stands for a subject token in one child task.
import { BrokerError } from '../core/errors.js'
import { sha256Hex } from '../core/hash.js'
import type { Principal } from '../identity/principal.js'
import { agentOf, type Delegation } from '../ledger/delegation.js'
import { issuerOf } from '../ledger/lease.js'
import { recordedPrincipal } from './hops.js'
import { verifyOwnToken } from './own-token.js'
import type { Parts } from './parts.js'

export const delegationTokenType = 'delegation+jwt'

const audienceOf = ({ issuer }: Pick<Parts, 'issuer'>) => `${issuer}/delegations`

/** Good until the delegation ends; whose it is and what it may do is looked up, not written in it. */
export async function createDelegationToken(
  parts: Pick<Parts, 'keyset' | 'issuer' | 'clock'>,
  { id, expiresAt }: Delegation,
): Promise<string> {
  return await parts.keyset.sign('internal', delegationTokenType, {
    iss: parts.issuer,
    aud: audienceOf(parts),
    sub: id,
    iat: Math.floor(parts.clock.now() / 1000),
    exp: Math.floor(expiresAt / 1000),
  })
}

/**
 * The parent as it was verified when it opened its task, without its binding: this token is bound to no key. Throws
 * `invalid_token` for what is none of ours, has ended, or is of a delegation, a task or an issuer that is not there any more.
 */
export async function authenticateDelegation(parts: Parts, token: string): Promise<Principal> {
  const kind = { type: delegationTokenType, audience: audienceOf(parts), prefix: 'dlg', of: 'delegation' } as const
  const { id, exp } = await verifyOwnToken(parts, token, kind)
  const delegation = await parts.ledger.findDelegation(id)
  const agent = delegation === null ? null : agentOf(delegation)
  const parent = delegation === null ? null : await parts.ledger.findTask(delegation.record.task)
  const isKnown = parent !== null && parts.rules().isWorkloadIssuer(issuerOf(parent.principal))
  if (agent === null || !isKnown) throw new BrokerError('invalid_token', 'this delegation is over')
  return {
    ...recordedPrincipal(parent),
    binding: 'none',
    delegation: id,
    agent,
    tokenSha256: sha256Hex(token),
    tokenExpiresAt: exp,
  }
}
