// `/ns/{namespace}/sa/{service_account}`: a SPIFFE ID's path → attributes. A placeholder is one whole segment.

export interface PathTemplate {
  /** The attributes it gives, all of them strings. */
  readonly names: readonly string[]
  /** The attributes of a path that fits whole, or null. */
  match(path: string): Record<string, string> | null
}

/** Parses a template; throws an Error that says what is wrong with it. */
export function parsePathTemplate(text: string): PathTemplate {
  if (!text.startsWith('/')) throw new Error('a path template starts with a slash')
  const segments = text.slice(1).split('/').map(parseSegment)
  const names = segments.flatMap((segment) => (segment.name === null ? [] : [segment.name]))
  if (new Set(names).size !== names.length) throw new Error('a path template names each attribute once')
  return {
    names,
    match(path) {
      const values = path.slice(1).split('/')
      if (values.length !== segments.length) return null
      const attributes: [string, string][] = []
      for (const [index, { name, literal }] of segments.entries()) {
        const value = values[index] ?? ''
        if (name !== null) attributes.push([name, value])
        else if (value !== literal) return null
      }
      return Object.fromEntries(attributes)
    },
  }
}

function parseSegment(text: string): { name: string | null; literal: string } {
  const name = /^\{([a-z][a-z0-9_]*)\}$/.exec(text)?.[1] ?? null
  if (name === null && !/^[A-Za-z0-9._-]+$/.test(text)) {
    throw new Error('a segment is a literal or one whole placeholder such as {namespace}')
  }
  return { name, literal: text }
}
