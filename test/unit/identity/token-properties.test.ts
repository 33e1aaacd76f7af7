// What holds for any change of a valid token, any text at all, and any claims. A failure prints its seed and its smallest case.
import { createPublicKey } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import { BrokerError } from '../../../src/core/errors.js'
import { JsonTextError, parseStrictJson } from '../../../src/core/strict-json.js'
import type { Principal } from '../../../src/identity/principal.js'
import { parseRawToken } from '../../../src/identity/raw-token.js'
import { createManualClock, createPool, encode, ourIssuer } from './identity-fixtures.js'

const clock = createManualClock()
let server: OidcIssuer
let valid: string
beforeAll(async () => {
  server = await startOidcIssuer({ clock })
  valid = await server.sign({ sub: 'build-7', aud: ourIssuer, org: 'acme', jti: 'a jti of some length' })
})
afterAll(() => server.stop())

const attributes = { org: { claim: 'org', type: 'string' }, level: { claim: 'level', type: 'number' } }
const pool = () => createPool({ ci: { type: 'oidc', issuer: server.issuer, attributes } }, { clock })

/** The principal, or the refusal; anything else is thrown on. */
async function outcome(authenticate: (text: string) => Promise<Principal>, text: string) {
  try {
    return await authenticate(text)
  } catch (error) {
    if (error instanceof BrokerError && error.code === 'invalid_token') return null
    throw error
  }
}

type Mutation = (text: string) => string
const position = fc.nat({ max: 2000 })
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\u0000é'
const character = fc.constantFrom(...alphabet)
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(position, character).map(
    ([at, to]): Mutation =>
      (text) =>
        splice(text, at, 1, to),
  ),
  fc.tuple(position, character).map(
    ([at, to]): Mutation =>
      (text) =>
        splice(text, at, 0, to),
  ),
  fc.tuple(position, fc.integer({ min: 1, max: 40 })).map(
    ([at, many]): Mutation =>
      (text) =>
        splice(text, at, many, ''),
  ),
  fc.tuple(position, fc.string({ maxLength: 20 })).map(
    ([at, to]): Mutation =>
      (text) =>
        splice(text, at, 0, to),
  ),
  // Of the bytes behind the letters: what a letter's change cannot reach, and every trailing bit.
  fc
    .tuple(fc.nat({ max: 2 }), position, fc.integer({ min: 1, max: 255 }))
    .map(([part, at, mask]) => flip(part, at, mask)),
  fc.tuple(fc.nat({ max: 2 }), fc.uint8Array({ maxLength: 80 })).map(([part, bytes]) => append(part, bytes)),
)
const splice = (text: string, at: number, many: number, to: string) => {
  const start = at % (text.length + 1)
  return text.slice(0, start) + to + text.slice(start + many)
}
const onPart = (part: number, change: (bytes: Buffer) => Buffer): Mutation => {
  return (text) => {
    const parts = text.split('.')
    parts[part] = change(Buffer.from(parts[part] ?? '', 'base64url')).toString('base64url')
    return parts.join('.')
  }
}
const flip = (part: number, at: number, mask: number) =>
  onPart(part, (bytes) => {
    const changed = Buffer.from(bytes)
    if (changed.length > 0) changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ mask
    return changed
  })
const append = (part: number, more: Uint8Array) => onPart(part, (bytes) => Buffer.concat([bytes, more]))

describe('a valid token', () => {
  test('is accepted in no other spelling, whatever is changed, however often', async () => {
    const { authenticate } = pool()
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
        const text = mutations.reduce((so, mutate) => mutate(so), valid)
        const principal = await outcome(authenticate, text)
        if (text !== valid) expect(principal).toBeNull()
      }),
      { numRuns: 3000 },
    )
    expect(await authenticate(valid)).toMatchObject({ id: 'ci:build-7' })
  })

  test('with the other of its two ECDSA signatures is the same token of the same caller', async () => {
    // The one respelling that RFC 7518 allows: (r, n - s) verifies as (r, s) does. Replay is remembered without the signature.
    const [header, payload, signature = ''] = valid.split('.')
    const bytes = Buffer.from(signature, 'base64url')
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
    const s = (order - BigInt(`0x${bytes.toString('hex', 32)}`)).toString(16).padStart(64, '0')
    const twin = `${header}.${payload}.${Buffer.concat([bytes.subarray(0, 32), Buffer.from(s, 'hex')]).toString('base64url')}`
    expect(twin).not.toBe(valid)
    const { authenticate } = pool()
    const first = await authenticate(valid)
    expect(await authenticate(twin)).toEqual({ ...first, tokenSha256: expect.not.stringMatching(first.tokenSha256) })
    expect(parseRawToken(twin).signingInput).toBe(parseRawToken(valid).signingInput)
  })
})

describe('a principal', () => {
  const headerNames = fc.string({ minLength: 1, maxLength: 12 }).filter((name) => !reserved.has(name))
  const reserved = new Set(['alg', 'kid', 'typ', 'crit', 'b64', 'enc', 'zip', '__proto__'])
  const members = fc.dictionary(headerNames, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 5 })
  const notText = (text: string) => /\\u(d[89a-f]|0000)|__proto__/i.test(text)

  test('depends on verified claims alone: no header member, order or white space changes it', async () => {
    const { authenticate } = pool()
    const expected = await authenticate(valid)
    const { exp, iat } = parseRawToken(valid).payload
    const claims = { iss: server.issuer, sub: 'build-7', aud: ourIssuer, org: 'acme', exp, iat }
    const order = fc.shuffledSubarray(Object.entries(claims), { minLength: 6, maxLength: 6 })
    const spaces = fc.constantFrom('', ' ', '\n', '\t')
    await fc.assert(
      fc.asyncProperty(members, order, spaces, fc.boolean(), async (extra, entries, space, typed) => {
        const header = JSON.stringify({ ...extra, alg: 'ES256', kid: 'es256-1', ...(typed ? { typ: 'JWT' } : {}) })
        if (notText(header)) return
        const input = `${encode(space + header)}.${encode(JSON.stringify(Object.fromEntries(entries)) + space)}`
        const { tokenSha256: _other, ...principal } = await authenticate(`${input}.${await server.signText(input)}`)
        const { tokenSha256: _one, ...wanted } = expected
        expect(principal).toEqual(wanted)
      }),
      { numRuns: 300 },
    )
  })

  test('is told apart from every other: two subjects or attributes never become one', async () => {
    const { authenticate } = pool()
    const text = fc.string({ minLength: 1, maxLength: 20, unit: 'binary' })
    await fc.assert(
      fc.asyncProperty(text, text, text, text, async (sub, org, otherSub, otherOrg) => {
        const [one, other] = await Promise.all(
          [
            { sub, org },
            { sub: otherSub, org: otherOrg },
          ].map(async (claims) => outcome(authenticate, await server.sign({ aud: ourIssuer, ...claims }))),
        )
        if (!one || !other) return
        expect([one.subject, one.attributes.org]).toEqual([sub, org])
        expect(one.id === other.id).toBe(sub === otherSub)
      }),
      { numRuns: 300 },
    )
  })
})

describe('a parser', () => {
  const anyText = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    fc
      .array(fc.oneof(fc.base64String(), fc.json().map(encode), fc.string().map(encode)), { maxLength: 6 })
      .map((parts) => parts.join('.')),
  )

  test('of raw tokens throws BrokerError alone, whatever the bytes', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        try {
          parseRawToken(text)
        } catch (error) {
          expect(error).toBeInstanceOf(BrokerError)
          expect((error as BrokerError).code).toBe('invalid_token')
        }
      }),
      { numRuns: 5000 },
    )
  })

  test('of strict JSON reads what JSON.parse reads, or refuses; and refuses nothing plain', () => {
    const pieces = fc.constantFrom(...'{}[]",:0-1.eE+ \n\\u"ab', '"a"', '"a":1', '\\u0061', 'true', 'null', '1e400')
    const texts = fc.oneof(
      fc.json({ maxDepth: 4 }),
      fc.array(pieces, { maxLength: 30 }).map((some) => some.join('')),
      fc.string({ unit: 'binary', maxLength: 60 }),
    )
    fc.assert(
      fc.property(texts, (text) => {
        const strict = attempt(() => parseStrictJson(text))
        const usual = attempt(() => JSON.parse(text) as unknown)
        if ('value' in strict) expect(strict).toEqual(usual)
        else expect(strict.error).toBeInstanceOf(JsonTextError)
        // What it refuses beyond the usual is a member named twice or __proto__, too much depth or a mark.
        if ('value' in usual && 'error' in strict) {
          expect(String(strict.error)).toMatch(/more than once|not an allowed|levels deep|byte order/)
        }
      }),
      { numRuns: 5000 },
    )
  })
})

function attempt(run: () => unknown): { value: unknown } | { error: unknown } {
  try {
    return { value: run() }
  } catch (error) {
    return { error }
  }
}

test('the key that verified is the only one that matters: the same key under another kid speaks for the same caller', async () => {
  const { keys } = (await (await fetch(`${server.issuer}/jwks`)).json()) as { keys: Record<string, string>[] }
  const jwk = keys[0] ?? {}
  server.extraKeys.push({ ...createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'jwk' }), kid: 'another' })
  const { authenticate } = pool()
  const [one, other] = await Promise.all(
    ['es256-1', 'another'].map(async (kid) => authenticate(await server.sign({ sub: 'x', aud: ourIssuer }, { kid }))),
  )
  expect(other).toEqual({ ...one, tokenSha256: other?.tokenSha256 })
  server.extraKeys.length = 0
})
