// What commands print: results on stdout as text or JSON, everything said to a person on stderr.
import { ClientError } from '../client/index.js'
import { UsageError } from './exit-codes.js'
import { NotApproved } from './not-approved.js'

export type OutputFormat = 'text' | 'json'

export interface Output {
  readonly format: OutputFormat
  /** The result: `value` as JSON, else `text`. */
  print(value: unknown, text: string): void
  /** A line for a person, on stderr. */
  note(line: string): void
}

/** `write` are the two streams; a line feed is added. */
export function createOutput(
  format: OutputFormat,
  write: { stdout: (text: string) => void; stderr: (text: string) => void },
): Output {
  return {
    format,
    print: (value, text) => write.stdout(`${format === 'json' ? JSON.stringify(value, null, 2) : text}\n`),
    note: (line) => write.stderr(`${withoutControls(line)}\n`),
  }
}

/** Says why a command ended. The code comes first: it is what the documentation is searched by. */
export function printError(error: unknown, output: Output): void {
  if (output.format === 'json') {
    output.note(JSON.stringify({ error: errorMembers(error) }))
    return
  }
  // Of a configuration every problem is said at once, a line each.
  for (const line of `hallpass: ${describeError(error)}`.split('\n')) output.note(line)
}

export function describeError(error: unknown): string {
  if (error instanceof UsageError) return error.message
  if (!(error instanceof ClientError)) return error instanceof Error ? error.message : String(error)
  const after = error.retryAfterSeconds === undefined ? '' : ` (try again in ${error.retryAfterSeconds} s)`
  const request = error.requestId === undefined ? '' : ` [${error.requestId}]`
  return `${error.code}: ${error.detail}${after}${request}`
}

function errorMembers(error: unknown): Record<string, unknown> {
  if (error instanceof NotApproved) {
    return { code: 'not_approved', detail: error.message, approval: error.approval }
  }
  if (!(error instanceof ClientError)) {
    return { code: error instanceof UsageError ? 'usage' : 'internal', detail: describeError(error) }
  }
  return {
    code: error.code,
    detail: error.detail,
    status: error.status,
    retry_after_seconds: error.retryAfterSeconds,
    request_id: error.requestId,
    problem: error.problem,
  }
}

/** Columns as wide as their widest cell; the first row is the heading. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const clean = rows.map((row) => row.map(withoutControls))
  const widths = (clean[0] ?? []).map((_, column) => Math.max(...clean.map((row) => (row[column] ?? '').length)))
  return clean
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** `name  value` lines; members without a value are left out. */
export function formatMembers(members: Readonly<Record<string, string | number | null | undefined>>): string {
  const rows = Object.entries(members).flatMap(([name, value]) =>
    value === null || value === undefined ? [] : [[name, String(value)]],
  )
  return formatTable(rows)
}

/** Names and purposes come from tokens and callers: an escape sequence among them must not reach an operator's terminal. */
export function withoutControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?')
}
