// Cedar text to single policies with their places. Cedar itself parses; this only finds where each policy begins, so
// that every problem has a file and a line.

export interface PolicyText {
  readonly text: string
  /** Where it starts in the file, in UTF-16 units. */
  readonly start: number
  /** The line on which it starts, from 1. */
  readonly line: number
}

/**
 * Splits at semicolons, for which Cedar has no other use outside strings and comments. Cedar then parses each part by
 * itself as exactly one policy, so a split that it would not have made is found out there.
 */
export function splitPolicies(text: string): PolicyText[] {
  const policies: PolicyText[] = []
  let start = -1
  let line = 1
  for (let i = 0, lineNow = 1; i < text.length; i++) {
    const char = text.charAt(i)
    if (char === '\n') lineNow++
    if (char === '/' && text.charAt(i + 1) === '/') i = endOfLine(text, i)
    else if (char.trim() !== '') {
      if (start < 0) {
        start = i
        line = lineNow
      }
      if (char === '"') {
        const end = endOfString(text, i)
        lineNow += countLines(text, i, end)
        i = end
      }
      if (char === ';') {
        policies.push({ text: text.slice(start, i + 1), start, line })
        start = -1
      }
    }
  }
  // What is left has no semicolon: Cedar is to say so.
  if (start >= 0) policies.push({ text: text.slice(start), start, line })
  return policies
}

/** The last character of the comment, so that what ends the line is still seen. Cedar takes a lone CR for an end too. */
function endOfLine(text: string, from: number): number {
  const lineEnd = /[\r\n]/g
  lineEnd.lastIndex = from
  return (lineEnd.exec(text)?.index ?? text.length) - 1
}

function countLines(text: string, from: number, to: number): number {
  let lines = 0
  for (let i = text.indexOf('\n', from); i >= 0 && i < to; i = text.indexOf('\n', i + 1)) lines++
  return lines
}

function endOfString(text: string, from: number): number {
  for (let i = from + 1; i < text.length; i++) {
    if (text.charAt(i) === '\\') i++
    else if (text.charAt(i) === '"') return i
  }
  return text.length
}

export interface Place {
  readonly line: number
  readonly column: number
}

/** Line and column, from 1, of a place in UTF-16 units. */
export function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset)
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') }
}

/** Cedar counts bytes of UTF-8; JavaScript does not. */
export function fromByteOffset(text: string, bytes: number): number {
  return Buffer.from(text, 'utf8').subarray(0, bytes).toString('utf8').length
}
