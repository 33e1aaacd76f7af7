// JSON as RFC 8259 recommends and JSON.parse does not enforce: no duplicate members, bounded depth, no `__proto__`.
// Used for request bodies and for token parts, where two readers of one text must never disagree (RFC 8725 section 2.6).

export class JsonTextError extends Error {
  /** Dotted path of the offending member, empty for the whole text. */
  readonly field: string
  constructor(field: string, message: string) {
    super(message)
    this.name = 'JsonTextError'
    this.field = field
  }
}

interface OpenContainer {
  isObject: boolean
  names: Set<string>
  /** The member being read, or the index in an array. */
  at: string | number
  expectsName: boolean
}

/**
 * Parses JSON text; throws JsonTextError on a syntax error, a duplicate member, a `__proto__` member or nesting beyond
 * `maxDepth`. Its cost is linear in the text and it does not recurse, so that deep or huge input stays cheap.
 */
export function parseStrictJson(text: string, maxDepth = 32): unknown {
  if (text.charCodeAt(0) === 0xfeff) throw new JsonTextError('', 'starts with a byte order mark')
  checkStructure(text, maxDepth)
  try {
    return JSON.parse(text)
  } catch {
    throw new JsonTextError('', 'is not JSON')
  }
}

/** Walks the raw text once. Malformed text may pass here: JSON.parse, which comes after, refuses it. */
function checkStructure(text: string, maxDepth: number): void {
  const open: OpenContainer[] = []
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    const top = open.at(-1)
    if (char === 0x22) {
      const end = endOfString(text, i)
      if (top?.expectsName) {
        noteName(open, top, text.slice(i, end + 1))
        top.expectsName = false
      }
      i = end
    } else if (char === 0x7b || char === 0x5b) {
      if (open.length >= maxDepth) throw new JsonTextError('', `is nested more than ${maxDepth} levels deep`)
      open.push({ isObject: char === 0x7b, names: new Set(), at: 0, expectsName: char === 0x7b })
    } else if (char === 0x7d || char === 0x5d) {
      open.pop()
    } else if (char === 0x2c && top) {
      if (top.isObject) top.expectsName = true
      else top.at = Number(top.at) + 1
    }
  }
}

/** Linear: runs of backslashes before one quote and the next do not overlap. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0
    while (text.charCodeAt(end - 1 - escapes) === 0x5c) escapes += 1
    // An even number of them escape each other, and the quote ends the string.
    if (escapes % 2 === 0) return end
  }
  throw new JsonTextError('', 'is not JSON')
}

function noteName(open: OpenContainer[], top: OpenContainer, quoted: string): void {
  let name: string
  try {
    // Escapes must be undone first: "a" and "\u0061" are the same member.
    name = quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1)
  } catch {
    throw new JsonTextError('', 'is not JSON')
  }
  top.at = name
  const field = () => open.map((container) => container.at).join('.')
  if (name === '__proto__') throw new JsonTextError(field(), 'is not an allowed member name')
  if (top.names.has(name)) throw new JsonTextError(field(), 'appears more than once')
  top.names.add(name)
}
