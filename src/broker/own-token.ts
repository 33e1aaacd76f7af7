// Tokens that we sign for ourselves (a task's, a delegation's) and take back from callers: one reading only, as for subject tokens.
import { clockToleranceMs } from '../core/clock.js'
import { BrokerError } from '../core/errors.js'
import { type IdPrefix, isId } from '../core/ids.js'
import { parseRawToken } from '../identity/raw-token.js'
import type { Parts } from './parts.js'

export interface OwnTokenKind {
  /** Its `typ`. */
  readonly type: string
  readonly audience: string
  /** Whose id its `sub` is. */
  readonly prefix: IdPrefix
  /** For errors: `task`. */
  readonly of: string
}

/** The id that the token is for, and its `exp` in epoch seconds. Throws `invalid_token` for what is none of ours or has ended. */
export async function verifyOwnToken(
  parts: Pick<Parts, 'keyset' | 'issuer' | 'clock'>,
  token: string,
  { type, audience, prefix, of }: OwnTokenKind,
): Promise<{ id: string; exp: number }> {
  const now = parts.clock.now()
  try {
    checkShape(token, { type, audience, of }, now)
    const { sub, exp } = await parts.keyset.verify('internal', type, token, { issuer: parts.issuer, audience, now })
    if (sub !== undefined && isId(prefix, sub) && exp !== undefined) return { id: sub, exp }
  } catch (cause) {
    throw new BrokerError('invalid_token', `the ${of} token is not one of ours, or has ended`, { cause })
  }
  throw new BrokerError('invalid_token', `the ${of} token names no ${of}`)
}

/** No laxer than for subject tokens: exactly what we write (RFC 8725 section 3.11). */
function checkShape(text: string, { type, audience, of }: Omit<OwnTokenKind, 'prefix'>, now: number): void {
  const { header, payload } = parseRawToken(text)
  const isOurs = header.typ === type && payload.aud.length === 1 && payload.aud[0] === audience
  const isIssued = payload.iat !== undefined && payload.iat * 1000 <= now + clockToleranceMs
  if (!isOurs || !isIssued) throw new BrokerError('invalid_token', `the ${of} token is not as we write them`)
}
