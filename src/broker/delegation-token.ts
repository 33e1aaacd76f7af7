// The token of a sub-agent without an identity of its own: a JWT of ours that stands for a subject token in one child task.
import { BrokerError } from '../core/errors.js'
import { sha256Hex } from '../core/hash.js'
import { isId } from '../core/ids.js'
import type { Principal } from '../identity/principal.js'
import { parseRawToken } from '../identity/raw-token.js'
import { agentOf, type Delegation } from '../ledger/delegation.js'
import { issuerOf } from '../ledger/lease.js'
import { recordedPrincipal } from './hops.js'
import type { Parts } from './parts.js'

export const delegationTokenType = 'delegation+jwt'

/** Brokers whose clocks are further apart stop issuing (design section 8, `clock`). */
const clockDifferenceSeconds = 5

const audienceOf = ({ issuer }: Pick<Parts, 'issuer'>) => `${issuer}/delegations`

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
  const { id, exp } = await verifyDelegationToken(parts, token)
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

async function verifyDelegationToken(parts: Parts, token: string): Promise<{ id: string; exp: number }> {
  const audience = audienceOf(parts)
  const now = parts.clock.now()
  try {
    checkShape(token, audience, now)
    const expected = { issuer: parts.issuer, audience, now }
    const { sub, exp } = await parts.keyset.verify('internal', delegationTokenType, token, expected)
    if (sub !== undefined && isId('dlg', sub) && exp !== undefined) return { id: sub, exp }
  } catch (cause) {
    throw new BrokerError('invalid_token', 'the delegation token is not one of ours, or has ended', { cause })
  }
  throw new BrokerError('invalid_token', 'the delegation token names no delegation')
}

/** No laxer than for subject tokens: one reading only, and exactly what we write (RFC 8725 section 3.11). */
function checkShape(text: string, audience: string, now: number): void {
  const { header, payload } = parseRawToken(text)
  const isOurs = header.typ === delegationTokenType && payload.aud.length === 1 && payload.aud[0] === audience
  const isIssued = payload.iat !== undefined && payload.iat <= now / 1000 + clockDifferenceSeconds
  if (!isOurs || !isIssued) throw new BrokerError('invalid_token', 'the delegation token is not as we write them')
}
