import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { canonicalJson, type Json } from '../../../src/core/canonical-json.js'

/** The scheme said as plainly as can be: sort, then let the engine write. */
function reference(value: Json): string {
  const sorted = (item: unknown): unknown => {
    if (typeof item !== 'object' || item === null) return item
    if (Array.isArray(item)) return item.map(sorted)
    const entries = Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))
    return new Map(entries.map(([name, member]) => [name, sorted(member)]))
  }
  // A Map keeps the order that an object with names like "1" would not.
  const write = (item: unknown): string => {
    if (item instanceof Map)
      return `{${[...item].map(([name, member]) => `${JSON.stringify(name)}:${write(member)}`).join(',')}}`
    if (Array.isArray(item)) return `[${item.map(write).join(',')}]`
    return JSON.stringify(item)
  }
  return write(sorted(value))
}

describe('canonical JSON', () => {
  test('is the example of RFC 8785 section 3.2.2', () => {
    const value = {
      numbers: JSON.parse('[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001]') as Json,
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    }
    expect(canonicalJson(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    )
  })

  test('sorts members by UTF-16 code units, as in RFC 8785 section 3.2.3', () => {
    const names = ['\u20ac', '\r', '\ufb33', '1', '\u{1f600}', '\u0080', '\u00f6']
    const text = canonicalJson(Object.fromEntries(names.map((name) => [name, 0])))
    expect(Object.keys(JSON.parse(text)).length).toBe(7)
    expect([...text.matchAll(/"((?:[^"\\]|\\.)*)":/g)].map(([, name]) => JSON.parse(`"${name}"`))).toEqual([
      '\r',
      '1',
      '\u0080',
      '\u00f6',
      '\u20ac',
      '\u{1f600}',
      '\ufb33',
    ])
  })

  test('writes every value as the engine would, sorted', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        expect(canonicalJson(value as Json)).toBe(reference(value as Json))
        expect(JSON.parse(canonicalJson(value as Json))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  test('leaves out what is undefined, and refuses what has no JSON form', () => {
    expect(canonicalJson({ b: undefined, a: -0 })).toBe('{"a":0}')
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) expect(() => canonicalJson([value])).toThrow(TypeError)
  })

  test('escapes lone surrogates, so that the text has a UTF-8 form', () => {
    expect(canonicalJson('\ud800')).toBe('"\\ud800"')
  })
})
