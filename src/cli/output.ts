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
    print(value, text) {
      if (format === 'json') write.stdout(`${asciiControls(JSON.stringify(value, null, 2))}\n`)
      // Nothing is no line: `wc -l` would count one.
      else if (text !== '') write.stdout(`${text}\n`)
    },
    note: (line) => write.stderr(`${withoutControls(line)}\n`),
  }
}

/**
 * JSON escapes the controls of ASCII by itself. What else steers a terminal, or turns the direction of what it shows, is escaped
 * here: the same value for every reader.
 */
function asciiControls(json: string): string {
  const escaped = (text: string) =>
    Array.from({ length: text.length }, (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')
  return json.replace(/[\x7f-\x9f\p{Cf}\u2028\u2029]/gu, escaped)
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

/** For people; a refusal with its code, and with the request id by which the broker's log knows it. */
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
  const rows = Object.entries(members).flatMap(([name, value]): [string, string][] =>
    value === null || value === undefined ? [] : [[withoutControls(name), withoutControls(String(value))]],
  )
  const column = Math.max(...rows.map(([name]) => name.length)) + 2
  return rows.map(([name, value]) => `${name.padEnd(column)}${foldText(value, column)}`.trimEnd()).join('\n')
}

/** Of most terminals. */
const lineWidth = 80

/**
 * Text with blanks in lines of its own column. A terminal goes on at its left edge, where the names of members and whole rows
 * begin: a purpose must not be able to write one there. What has no blanks stays whole, so that it can be copied.
 */
export function foldText(text: string, column: number): string {
  const words = text.replace(/\p{Zs}/gu, ' ').split(' ')
  const room = Math.max(20, lineWidth - 1 - column)
  if (words.length === 1 || text.length <= room) return text
  const lines: string[] = []
  let line = ''
  for (const word of words.flatMap((one) => one.match(new RegExp(`.{1,${room}}`, 'gu')) ?? [''])) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].join(`\n${' '.repeat(column)}`)
}

/** Names and purposes come from tokens and callers: an escape sequence among them must not reach an operator's terminal. */
export function withoutControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?')
}
