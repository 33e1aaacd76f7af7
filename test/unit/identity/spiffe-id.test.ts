import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { parsePathTemplate } from '../../../src/identity/path-template.js'
import { parseSpiffeId, trustDomainIn } from '../../../src/identity/spiffe-id.js'

describe('a SPIFFE ID', () => {
  test.each([
    ['spiffe://prod.acme.example/ns/ci/sa/deployer', 'prod.acme.example', '/ns/ci/sa/deployer'],
    ['spiffe://a', 'a', ''],
    ['spiffe://td_1-x.0/A.b-C_9', 'td_1-x.0', '/A.b-C_9'],
    ['spiffe://td/...', 'td', '/...'],
    [`spiffe://${'a'.repeat(255)}/x`, 'a'.repeat(255), '/x'],
  ])('%s is read', (text, trustDomain, path) => {
    expect(parseSpiffeId(text)).toEqual({ text, trustDomain, path })
  })

  test.each([
    ['', /start with spiffe/],
    ['https://td/x', /start with spiffe/],
    ['SPIFFE://td/x', /start with spiffe/],
    ['spiffe:/td/x', /start with spiffe/],
    ['spiffe://', /trust domain/],
    ['spiffe:///x', /trust domain/],
    ['spiffe://TD/x', /trust domain/],
    ['spiffe://td:8080/x', /trust domain/],
    ['spiffe://user@td/x', /trust domain/],
    ['spiffe://t%64/x', /trust domain/],
    ['spiffe://td?x', /trust domain/],
    [`spiffe://${'a'.repeat(256)}`, /trust domain/],
    ['spiffe://td/', /empty segment or ends in a slash/],
    ['spiffe://td/x/', /empty segment or ends in a slash/],
    ['spiffe://td//x', /empty segment or ends in a slash/],
    ['spiffe://td/.', /dot segment/],
    ['spiffe://td/a/../b', /dot segment/],
    ['spiffe://td/a%2fb', /characters other than/],
    ['spiffe://td/a?b', /characters other than/],
    ['spiffe://td/a#b', /characters other than/],
    ['spiffe://td/é', /characters other than/],
    ['spiffe://td/a\n', /characters other than/],
    [`spiffe://td/${'a'.repeat(2048)}`, /longer than 2048/],
  ])('%p is refused', (text, expected) => {
    expect(() => parseSpiffeId(text)).toThrow(expected)
  })

  test('gives its trust domain for choosing an issuer, whatever follows', () => {
    expect(trustDomainIn('spiffe://td//x')).toBe('td')
    expect(trustDomainIn('repo:acme/web')).toBeUndefined()
  })
})

interface Vectors {
  accepted: { section: string; id: string; trust_domain: string; path: string; why: string }[]
  refused: { section: string; id: string; why: string }[]
}
const vectors = JSON.parse(readFileSync(new URL('../../vectors/spiffe-id.json', import.meta.url), 'utf8')) as Vectors
const short = (text: string) => JSON.stringify(text.length > 60 ? `${text.slice(0, 40)}… (${text.length})` : text)

describe('the grammar’s vectors', () => {
  test.each(vectors.accepted.map((one) => ({ ...one, shown: short(one.id) })))(
    '$shown is read ($section)',
    ({ id, trust_domain: trustDomain, path }) => {
      expect(parseSpiffeId(id)).toEqual({ text: id, trustDomain, path })
    },
  )

  test.each(vectors.refused.map((one) => ({ ...one, shown: short(one.id) })))(
    '$shown is refused: $why ($section)',
    ({ id }) => {
      expect(() => parseSpiffeId(id)).toThrow()
    },
  )
})

describe('a path template', () => {
  test('gives the attributes of a path that fits whole', () => {
    const template = parsePathTemplate('/ns/{namespace}/sa/{service_account}')
    expect(template.names).toEqual(['namespace', 'service_account'])
    expect(template.match('/ns/ci/sa/deployer')).toEqual({ namespace: 'ci', service_account: 'deployer' })
    for (const path of ['', '/ns/ci/sa', '/ns/ci/sa/deployer/x', '/xs/ci/sa/deployer', '/ns/ci/SA/deployer']) {
      expect(template.match(path)).toBeNull()
    }
  })

  test.each(['ns/{a}', '/ns/{a}/', '/ns/x{a}', '/ns/{A}', '/{a}/{a}', '/ns//{a}', '/*', ''])(
    '%p is refused',
    (text) => {
      expect(() => parsePathTemplate(text)).toThrow()
    },
  )
})
