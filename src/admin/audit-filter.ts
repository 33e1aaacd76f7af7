// The words of the command line as a filter of records. Throws UsageError.
import { auditQuery } from '../api/audit.js'
import type { AuditFilter } from '../broker/read-audit.js'
import { UsageError } from '../cli/exit-codes.js'
import { isId } from '../core/ids.js'

const filterShape = auditQuery.pick({ task: true, principal: true, account: true, type: true, from: true, to: true })

/** Throws UsageError naming the option that is wrong. */
export function parseAuditFilter(options: { [name in keyof AuditFilter]?: string | undefined }): AuditFilter {
  const { task, principal, account, type, from, to } = options
  const parsed = filterShape.safeParse({ task, principal, account, type, from, to })
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new UsageError(`--${issue?.path.join('.')}: ${issue?.message}`)
}

export function parseLimit(text: string): number {
  const limit = /^[0-9]{1,7}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > 1_000_000) throw new UsageError('--limit: expected a number from 1 to 1000000')
  return limit
}

export function parseTaskId(text: string): string {
  if (!isId('task', text)) throw new UsageError(`expected the id of a task, not "${text}"`)
  return text
}
