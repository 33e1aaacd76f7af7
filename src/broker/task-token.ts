// The task token: a JWT of ours for one task. It can only shrink things: read, release, complete. Never a new credential.
import type { Task } from '../ledger/task.js'
import { verifyOwnToken } from './own-token.js'
import type { Parts } from './parts.js'

export const taskTokenType = 'task+jwt'

const audienceOf = ({ issuer }: Pick<Parts, 'issuer'>) => `${issuer}/tasks`

/** Readable for an hour after the task's deadline, so that what became of it can still be asked. */
export async function createTaskToken(parts: Pick<Parts, 'keyset' | 'issuer' | 'clock'>, task: Task): Promise<string> {
  return await parts.keyset.sign('internal', taskTokenType, {
    iss: parts.issuer,
    aud: audienceOf(parts),
    sub: task.id,
    iat: Math.floor(parts.clock.now() / 1000),
    exp: Math.floor(task.expiresAt / 1000) + 3600,
  })
}

/** The id of the task that a token of ours is for. Throws `invalid_token`. */
export async function verifyTaskToken(
  parts: Pick<Parts, 'keyset' | 'issuer' | 'clock'>,
  token: string,
): Promise<string> {
  const kind = { type: taskTokenType, audience: audienceOf(parts), prefix: 'task', of: 'task' } as const
  return (await verifyOwnToken(parts, token, kind)).id
}
