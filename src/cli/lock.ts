// `hallpass lock add|list|remove`: what gets nothing, from the answer on.
import type { LockRequest } from '../api/locks.js'
import type { Lock } from '../client/index.js'
import { systemClock, toTimestamp } from '../core/clock.js'
import { parseDuration } from './arguments.js'
import { type CommandIo, connectBroker } from './connection.js'
import { exitCodes, UsageError } from './exit-codes.js'
import { formatTable } from './output.js'
import { parseLockTarget } from './targets.js'

export interface LockAddOptions {
  reason: string
  for?: string | undefined
  until?: string | undefined
}

export async function runLockAdd(
  kind: string,
  ids: readonly string[],
  options: LockAddOptions,
  io: CommandIo,
): Promise<number> {
  const lock = await connectBroker(io.environment).setLock(parseLock(kind, ids, options))
  io.output.print(lock, describeLock(lock))
  return exitCodes.done
}

/** The lock as the wire has it. Throws UsageError. */
export function parseLock(kind: string, ids: readonly string[], options: LockAddOptions): LockRequest {
  const target = parseLockTarget(kind, ids, 'lock add')
  const expires_at = parseEnd(options)
  return { target, reason: options.reason, ...(expires_at === undefined ? {} : { expires_at }) }
}

function parseEnd({ for: lasts, until }: LockAddOptions): string | undefined {
  if (lasts !== undefined && until !== undefined) throw new UsageError('--for and --until: give one of them')
  if (lasts !== undefined) return toTimestamp(systemClock.now() + parseDuration(lasts, '--for') * 1000)
  if (until === undefined) return undefined
  const at = Date.parse(until)
  if (Number.isNaN(at)) throw new UsageError(`--until: expected a time such as 2031-05-06T07:08:09Z, not "${until}"`)
  return toTimestamp(at)
}

export function describeLock({ id, target, expires_at }: Lock): string {
  return `${id}: ${describeTarget(target)} is locked ${expires_at === null ? 'until the lock is removed' : `until ${expires_at}`}`
}

export async function runLockList(options: { limit?: string; cursor?: string }, io: CommandIo): Promise<number> {
  const { limit, cursor } = options
  const list = await connectBroker(io.environment).listLocks({ limit, cursor })
  const rows = list.locks.map((one) => [
    one.id,
    describeTarget(one.target),
    one.expires_at ?? '-',
    one.created_at,
    one.reason,
  ])
  const text =
    rows.length === 0 ? 'no locks' : formatTable([['LOCK', 'TARGET', 'EXPIRES', 'CREATED', 'REASON'], ...rows])
  io.output.print(list, text)
  if (list.next_cursor !== null) io.output.note(`more: --cursor ${list.next_cursor}`)
  return exitCodes.done
}

export async function runLockRemove(id: string, io: CommandIo): Promise<number> {
  const lock = await connectBroker(io.environment).removeLock(id)
  io.output.print(
    lock,
    `${lock.id}: removed; ${describeTarget(lock.target)} may be asked for again unless another lock stands`,
  )
  return exitCodes.done
}

function describeTarget(target: Lock['target']): string {
  const [[kind, value] = ['', '']] = Object.entries(target)
  return kind === 'all' ? 'everything' : `${kind} ${value}`
}
