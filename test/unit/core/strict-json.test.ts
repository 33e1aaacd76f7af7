import { describe, expect, test } from '@jest/globals'
import { assert as check, jsonValue, property } from 'fast-check'
import { parseStrictJson } from '../../../src/core/strict-json.js'

describe('strict JSON', () => {
  test.each([
    ['a duplicate', '{"a":1,"a":2}', 'a'],
    ['a duplicate in other spelling', '{"a":1,"\\u0061":2}', 'a'],
    ['a duplicate inside', '{"x":[{"y":1},{"y":1,"y":2}]}', 'x.1.y'],
    ['__proto__', '{"__proto__":{}}', '__proto__'],
    ['__proto__ inside', '{"a":{"__proto__":1}}', 'a.__proto__'],
    ['a byte order mark', '\ufeff{}', ''],
    ['no JSON', '{', ''],
    ['an open string', '"abc', ''],
    ['nesting', '['.repeat(33) + ']'.repeat(33), ''],
  ])('refuses %s and names the member', (_name, text, field) => {
    expect(() => parseStrictJson(text)).toThrow(expect.objectContaining({ name: 'JsonTextError', field }))
  })

  test('a million brackets or names cost a moment, not a stack', () => {
    expect(() => parseStrictJson('['.repeat(1_000_000))).toThrow('levels deep')
    expect(() => parseStrictJson(`{${'"a":1,'.repeat(200_000)}"b":2}`)).toThrow('more than once')
  })

  test('the same member in different objects is no duplicate; strings may hold anything', () => {
    expect(parseStrictJson('{"a":{"a":[{"a":1},{"a":"{\\"a\\":1,\\"a\\":2}"}]}}')).toEqual({
      a: { a: [{ a: 1 }, { a: '{"a":1,"a":2}' }] },
    })
  })

  test('reads what JSON.stringify wrote', () => {
    check(
      property(jsonValue({ maxDepth: 6, noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value)
        if (text.includes('__proto__')) return
        expect(parseStrictJson(text)).toEqual(JSON.parse(text))
      }),
    )
  })
})
