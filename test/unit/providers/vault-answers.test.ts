// What each answer of Vault's is taken for. A wrong reading here is a receipt that claims more than was seen.
import { describe, expect, test } from '@jest/globals'
import { ProviderError } from '../../../src/providers/provider.js'
import {
  isRefusal,
  parseAccessorLookup,
  parseAccessorRevocation,
  parseClusterId,
  parseLeaseLookup,
  refusal,
} from '../../../src/providers/vault-answers.js'

const saying = (status: number, ...errors: string[]) => ({ status, body: { errors } })

function kindOf(run: () => unknown): string {
  try {
    return `no error: ${JSON.stringify(run())}`
  } catch (error) {
    return error instanceof ProviderError ? error.kind : String(error)
  }
}

describe('a refusal', () => {
  // Only after it is "nothing was minted" known.
  test.each([400, 403, 404, 429, 500])('%i with errors is one', (status) => {
    expect(isRefusal(saying(status, 'permission denied'))).toBe(true)
    expect(isRefusal({ status, body: null })).toBe(false)
    expect(isRefusal({ status, body: { message: 'blocked by a gateway' } })).toBe(false)
  })

  test.each([501, 502, 503, 504])('%i is none, whoever wrote it: Vault may still be at work', (status) => {
    expect(isRefusal(saying(status, 'context deadline exceeded'))).toBe(false)
  })

  test('success is none, whatever it says', () => {
    expect(isRefusal(saying(200, 'x'))).toBe(false)
  })

  test.each([
    [400, 'retryable'],
    [403, 'retryable'],
    [404, 'permanent'],
    [405, 'retryable'],
    [412, 'retryable'],
    [429, 'retryable'],
    [500, 'retryable'],
    [502, 'unavailable'],
    [503, 'unavailable'],
    [504, 'unavailable'],
  ])('%i is %s', (status, kind) => {
    expect(refusal(saying(status, 'x'), 'a call').kind).toBe(kind)
  })
})

describe('the token is gone', () => {
  test('by its revocation: 204 ended it, 200 with a warning found none', () => {
    expect(parseAccessorRevocation({ status: 204, body: null })).toBe('revoked')
    expect(parseAccessorRevocation({ status: 200, body: { warnings: ['No token found with this accessor'] } })).toBe(
      'gone',
    )
    expect(parseAccessorRevocation({ status: 200, body: { warnings: null } })).toBe('revoked')
  })

  test.each([
    [400, 'retryable'],
    [403, 'retryable'],
    [404, 'permanent'],
    [500, 'retryable'],
    [503, 'unavailable'],
  ])('never by an answer %i', (status, kind) => {
    const answer = saying(status, 'invalid accessor')
    expect(kindOf(() => parseAccessorRevocation(answer))).toBe(kind)
  })
})

describe.each([
  ['token', 'invalid accessor', parseAccessorLookup],
  ['secret', 'invalid lease', parseLeaseLookup],
] as const)('looked up, the %s is gone', (_what, words, parse) => {
  test('by 400 with those words', () => {
    expect(parse(saying(400, `1 error occurred:\n\t* ${words}\n\n`))).toBe('gone')
  })

  test.each([403, 404, 500, 503])('not by the same words with %i', (status) => {
    expect(kindOf(() => parse(saying(status, words)))).toMatch(/^(retryable|permanent|unavailable)$/)
  })

  test('not by 400 with others, nor by words that are none of its errors', () => {
    expect(kindOf(() => parse(saying(400, 'missing client token')))).toBe('retryable')
    expect(kindOf(() => parse({ status: 400, body: { errors: words } }))).toBe('retryable')
    expect(kindOf(() => parse({ status: 200, body: { errors: [words] } }))).toBe('retryable')
  })
})

describe('the cluster', () => {
  const health = { initialized: true, sealed: false, cluster_id: 'c-1' }

  test('is who answers, on a standby as well', () => {
    for (const status of [200, 429, 473]) expect(parseClusterId({ status, body: health })).toBe('c-1')
  })

  // An empty id would be equal to the empty id of another that does not know its own yet.
  test.each([
    ['sealed', { sealed: true }],
    ['not initialized', { initialized: false }],
    ['without an id yet', { cluster_id: undefined }],
    ['with an empty id', { cluster_id: '' }],
  ])('%s is not in service', (_what, over) => {
    expect(kindOf(() => parseClusterId({ status: 503, body: { ...health, ...over } }))).toBe('unavailable')
  })

  test('is no Vault where something else answers', () => {
    expect(kindOf(() => parseClusterId({ status: 200, body: { status: 'ok' } }))).toBe('retryable')
  })
})
