// Claims are read as they stand in the token, by their own members and own types.
import { expect, test } from '@jest/globals'
import { deriveAttributes, readClaim } from '../../../src/identity/claims.js'

test('what every object or list inherits is no claim, and a list has no named members', () => {
  const claims = { nested: { list: ['a'] }, text: 'b' }
  for (const path of [
    ['constructor', 'name'],
    ['__proto__', 'constructor'],
    ['nested', 'toString'],
    ['nested', 'list', '0'],
    ['nested', 'list', 'length'],
    ['text', 'length'],
  ])
    expect([path, readClaim(claims, path)]).toEqual([path, undefined])
  expect(readClaim(claims, ['nested', 'list'])).toEqual(['a'])
})

test('a number that was rounded when it was read is nobody’s', () => {
  const attributes = (id: number) => deriveAttributes({ id }, { id: { claim: ['id'], type: 'number' } })
  expect(attributes(Number.MAX_SAFE_INTEGER)).toEqual({ id: Number.MAX_SAFE_INTEGER })
  for (const id of [Number.MAX_SAFE_INTEGER + 1, 1.5, Number.POSITIVE_INFINITY]) expect(attributes(id)).toEqual({})
})
