import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BrokerError } from '../../../src/core/errors.js'
import { maxTokenCharacters, parseRawToken, quoted, refusedToken } from '../../../src/identity/raw-token.js'
import { encode, readFixture, refusal, refusalText, unsignedToken } from './identity-fixtures.js'

const header = { alg: 'ES256', kid: 'k', typ: 'JWT' }
const claims = { iss: 'https://issuer.example', sub: 'repo:acme/web', aud: 'us', exp: 1_800_000_000 }
const good = unsignedToken(claims)
const [headerPart = '', payloadPart = '', signaturePart = ''] = good.split('.')
const withBytes = (bytes: Buffer) => `${headerPart}.${bytes.toString('base64url')}.${signaturePart}`

describe('a raw token', () => {
  test('that is well formed is read, with nothing but a hash of its text in sight', () => {
    const token = parseRawToken(good)
    expect(token.header).toEqual(header)
    expect(token.payload).toMatchObject({
      iss: claims.iss,
      sub: claims.sub,
      aud: ['us'],
      exp: claims.exp,
      iat: undefined,
    })
    expect(token.claims).toEqual(claims)
    expect(token.sha256).toMatch(/^[0-9a-f]{64}$/)
    expect(JSON.stringify(token)).not.toContain(signaturePart)
    expect(token.text.reveal()).toBe(good)
  })

  test('of a real SPIRE server is read', () => {
    const token = parseRawToken(readFixture('spire/prod/two-audiences.jwt'))
    expect(token.payload.aud).toEqual(['other', 'https://hallpass.acme.example'])
  })

  test.each<[string, string, RegExp]>([
    ['too long, before anything is decoded', `${good}${'A'.repeat(17_000)}`, /longer than 16384/],
    ['a million dots', '.'.repeat(1_000_000), /longer than 16384/],
    ['sixteen thousand dots', '.'.repeat(16_000), /more than 5 parts/],
    ['empty', '', /has 1 parts/],
    ['opaque, as another service would have it', 'abcdefabcdefabcdefabcdef', /has 1 parts/],
    ['two parts', `${headerPart}.${payloadPart}`, /has 2 parts/],
    ['five parts, as an encrypted token has', `${good}.AAAA.AAAA`, /has 5 parts/],
    ['an empty header', `.${payloadPart}.${signaturePart}`, /header is empty/],
    ['an empty payload', `${headerPart}..${signaturePart}`, /payload is empty/],
    ['an empty signature (alg none)', `${headerPart}.${payloadPart}.`, /signature is empty/],
    ['padding', `${headerPart}.${payloadPart}.AA==`, /signature is not canonical/],
    ['trailing bits', `${headerPart}.${payloadPart}.AB`, /signature is not canonical/],
    ['a lone base64 character', `${headerPart}.${payloadPart}.AAAAA`, /signature is not canonical/],
    ['the other base64 alphabet', `${headerPart}.${payloadPart}.ab+/`, /signature is not canonical/],
    ['a newline inside', `${headerPart}.\n${payloadPart}.${signaturePart}`, /payload is not canonical/],
    ['a space at the end', `${good} `, /signature is not canonical/],
    ['a space at the front', ` ${good}`, /header is not canonical/],
    ['a header that is not JSON', `${encode('{')}.${payloadPart}.${signaturePart}`, /header is not JSON/],
    ['a payload that is a list', unsignedToken('[]'), /payload is not a JSON object/],
    ['a payload that is null', unsignedToken('null'), /payload is not a JSON object/],
    ['a payload that is a string', unsignedToken('"x"'), /payload is not a JSON object/],
    ['a byte order mark', unsignedToken(`\ufeff${JSON.stringify(claims)}`), /payload starts with a byte order mark/],
    [
      'a byte order mark in the header',
      unsignedToken(claims, `\ufeff${JSON.stringify(header)}`),
      /header starts with a byte/,
    ],
    ['a claim twice', unsignedToken('{"sub":"a","sub":"b"}'), /payload: "sub" appears more than once/],
    ['a claim twice, once escaped', unsignedToken('{"sub":"a","\\u0073ub":"b"}'), /"sub" appears more than once/],
    ['a nested member twice', unsignedToken('{"a":{"b":1,"b":2}}'), /"a\.b" appears more than once/],
    ['a header member twice', unsignedToken(claims, '{"alg":"ES256","alg":"none"}'), /header: "alg" appears more/],
    ['__proto__', unsignedToken('{"__proto__":{"sub":"admin"}}'), /"__proto__" is not an allowed/],
    ['deep nesting', unsignedToken(`{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`), /nested more than 32 levels/],
    ['invalid UTF-8', withBytes(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), /payload is not UTF-8/],
    [
      'over-long UTF-8',
      withBytes(Buffer.from([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d])),
      /payload is not UTF-8/,
    ],
    ['NUL in a string', unsignedToken('{"sub":"admin\\u0000x"}'), /payload contains NUL/],
    ['NUL in a nested name', unsignedToken('{"a":[{"b\\u0000":1}]}'), /payload contains NUL/],
    ['a lone surrogate', unsignedToken('{"sub":"\\ud800"}'), /payload contains a lone surrogate/],
    [
      'a lone surrogate in the header',
      unsignedToken(claims, '{"alg":"ES256","kid":"\\udc00"}'),
      /header contains a lone/,
    ],
    ['no alg', unsignedToken(claims, { kid: 'k' }), /names no "alg"/],
    ['alg a list', unsignedToken(claims, { alg: ['ES256'] }), /"alg" in the token's header is not a string/],
    ['kid a number', unsignedToken(claims, { alg: 'ES256', kid: 1 }), /"kid" in the token's header is not a string/],
    ['kid null', unsignedToken(claims, { alg: 'ES256', kid: null }), /"kid" in the token's header is not a string/],
    ['typ a number', unsignedToken(claims, { alg: 'ES256', typ: 1 }), /"typ" in the token's header is not a string/],
    ['an unknown crit', unsignedToken(claims, { ...header, crit: ['x'], x: 1 }), /"crit": no extension is understood/],
    ['crit b64', unsignedToken(claims, { ...header, crit: ['b64'], b64: false }), /"crit"/],
    ['b64 without crit', unsignedToken(claims, { ...header, b64: false }), /"b64"/],
    ['enc, as an encrypted token has', unsignedToken(claims, { ...header, enc: 'A256GCM' }), /"enc": a signed JWT/],
    ['zip', unsignedToken(claims, { ...header, zip: 'DEF' }), /"zip": a signed JWT must not/],
    ['iss a list', unsignedToken({ ...claims, iss: [claims.iss] }), /"iss" in the token's payload is not a string/],
    ['sub a number', unsignedToken({ ...claims, sub: 7 }), /"sub" in the token's payload is not a string/],
    ['jti an object', unsignedToken({ ...claims, jti: {} }), /"jti" in the token's payload is not a string/],
    ['aud a number', unsignedToken({ ...claims, aud: 1 }), /"aud" .* neither a string nor a list of strings/],
    [
      'aud a mixed list',
      unsignedToken({ ...claims, aud: ['us', 1] }),
      /"aud" .* neither a string nor a list of strings/,
    ],
    ['exp a string', unsignedToken({ ...claims, exp: '1800000000' }), /"exp" .* is not a finite number/],
    ['exp infinite', unsignedToken('{"exp":1e999}'), /"exp" .* is not a finite number/],
    ['exp null', unsignedToken({ ...claims, exp: null }), /"exp" .* is not a finite number/],
    [
      'exp in milliseconds',
      unsignedToken({ ...claims, exp: 1_800_000_000_000 }),
      /"exp" .* not a date in epoch seconds/,
    ],
    ['nbf a boolean', unsignedToken({ ...claims, nbf: true }), /"nbf" .* is not a finite number/],
    ['iat negative', unsignedToken({ ...claims, iat: -1 }), /"iat" .* not a date in epoch seconds/],
  ])('is refused when it has %s', async (_what, text, expected) => {
    const shown = await refusalText(() => parseRawToken(text), text)
    expect(shown).toMatch(/^invalid_token /)
    expect(shown).toMatch(expected)
  })

  test('has a detail of bounded length, whatever stands in it', async () => {
    const name = 'x'.repeat(5000)
    const { detail } = await refusal(() => parseRawToken(unsignedToken(`{"${name}":1,"${name}":2}`)))
    expect(detail.length).toBeLessThanOrEqual(500)
    expect(refusedToken('x'.repeat(500)).detail).toBe('x'.repeat(500))
    expect(refusedToken('x'.repeat(501)).detail).toBe(`${'x'.repeat(499)}…`)
    expect(quoted('x'.repeat(118))).toBe(`"${'x'.repeat(118)}"`)
    expect(quoted('x'.repeat(119))).toBe(`"${'x'.repeat(118)}…`)
  })

  test('is read up to the last character and the last date that it may have', () => {
    const full = (length: number) =>
      `${headerPart}.${payloadPart}.${'A'.repeat(length - good.length + signaturePart.length)}`
    // One of two neighbouring lengths is canonical base64url.
    const lengths = [maxTokenCharacters, maxTokenCharacters - 1].filter((length) => {
      const part = full(length).split('.')[2] ?? ''
      return Buffer.from(part, 'base64url').toString('base64url') === part
    })
    for (const length of lengths) expect(parseRawToken(full(length)).text.reveal()).toHaveLength(length)
    expect(lengths).not.toEqual([])
    const dates = { exp: 253_402_300_799, iat: 0 }
    expect(parseRawToken(unsignedToken({ ...claims, ...dates })).payload).toMatchObject(dates)
  })

  test('may hold nothing and numbers beside a text that is escaped', () => {
    expect(parseRawToken(unsignedToken('{"a":null,"b":[1,true],"c":"\\u00e9"}')).claims).toMatchObject({
      a: null,
      c: 'é',
    })
  })

  test('costs little to refuse, however large', () => {
    const huge = 'A'.repeat(2_000_000)
    const before = process.cpuUsage()
    let refused = 0
    for (let i = 0; i < 1000; i++) {
      try {
        parseRawToken(huge)
      } catch {
        refused += 1
      }
    }
    expect(refused).toBe(1000)
    // Decoding it once takes longer than a millisecond; refusing it a thousand times must take less than one each.
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000)
  })

  test('of any bytes at all is read or refused, never an accident', () => {
    const part = fc.oneof(fc.base64String(), fc.json().map(encode), fc.string(), fc.object().map(encode))
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
        try {
          parseRawToken(parts.join('.'))
        } catch (error) {
          expect(error).toBeInstanceOf(BrokerError)
        }
      }),
      { numRuns: 500 },
    )
  })
})
