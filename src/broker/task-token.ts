// The task token: a JWT of ours for one task. It can only shrink things: read, release, complete. Never a new credential.
import { BrokerError } from '../core/errors.js'
import { isId } from '../core/ids.js'
import { parseRawToken } from '../identity/raw-token.js'
import type { Task } from '../ledger/task.js'
import type { Parts } from './parts.js'

export const taskTokenType = 'task+jwt'

/** Brokers whose clocks are further apart stop issuing (design section 8, `clock`). */
const clockDifferenceSeconds = 5

/** Readable for an hour after the task's deadline, so that what became of it can still be asked. */
export async function createTaskToken(parts: Pick<Parts, 'keyset' | 'issuer' | 'clock'>, task: Task): Promise<string> {
  return await parts.keyset.sign('internal', taskTokenType, {
    iss: parts.issuer,
    aud: `${parts.issuer}/tasks`,
    sub: task.id,
    iat: Math.floor(parts.clock.now() / 1000),
    exp: Math.floor(task.expiresAt / 1000) + 3600,
  })
}

/** The task a token of ours is for. Throws `invalid_token`. */
export async function verifyTaskToken(
  parts: Pick<Parts, 'keyset' | 'issuer' | 'clock'>,
  token: string,
): Promise<string> {
  const audience = `${parts.issuer}/tasks`
  const now = parts.clock.now()
  try {
    checkShape(token, audience, now)
    const claims = await parts.keyset.verify('internal', taskTokenType, token, { issuer: parts.issuer, audience, now })
    if (claims.sub !== undefined && isId('task', claims.sub)) return claims.sub
  } catch (cause) {
    throw new BrokerError('invalid_token', 'the task token is not one of ours, or has ended', { cause })
  }
  throw new BrokerError('invalid_token', 'the task token names no task')
}

/** No laxer than for subject tokens: one reading only, and exactly what `createTaskToken` writes (RFC 8725 section 3.11). */
function checkShape(text: string, audience: string, now: number): void {
  const { header, payload } = parseRawToken(text)
  const isOurs = header.typ === taskTokenType && payload.aud.length === 1 && payload.aud[0] === audience
  const isIssued = payload.iat !== undefined && payload.iat <= now / 1000 + clockDifferenceSeconds
  if (!isOurs || !isIssued) throw new BrokerError('invalid_token', 'the task token is not as we write them')
}
