// The task token: a JWT of ours for one task. It can only shrink things: read, release, complete. Never a new credential.
import { BrokerError } from '../core/errors.js'
import { isId } from '../core/ids.js'
import type { Task } from '../ledger/task.js'
import type { Parts } from './parts.js'

export const taskTokenType = 'task+jwt'

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
  try {
    const expected = { issuer: parts.issuer, audience: `${parts.issuer}/tasks`, now: parts.clock.now() }
    const claims = await parts.keyset.verify('internal', taskTokenType, token, expected)
    if (claims.sub !== undefined && isId('task', claims.sub)) return claims.sub
  } catch (cause) {
    throw new BrokerError('invalid_token', 'the task token is not one of ours, or has ended', { cause })
  }
  throw new BrokerError('invalid_token', 'the task token names no task')
}
