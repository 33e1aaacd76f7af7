import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { SignJWT } from 'jose'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import { parseRawToken } from '../../../src/identity/raw-token.js'
import { createManualClock, createPool, encode, fixtureTime, ourIssuer, refusalText } from './identity-fixtures.js'

const clock = createManualClock()
const now = fixtureTime / 1000
let server: OidcIssuer
let thief: OidcIssuer
beforeAll(async () => {
  server = await startOidcIssuer({ clock, algorithms: ['ES256', 'RS256', 'EdDSA', 'PS256'] })
  thief = await startOidcIssuer({ clock })
})
afterAll(() => Promise.all([server.stop(), thief.stop()]))

const section = (extra: object = {}) => ({ ci: { type: 'oidc', issuer: server.issuer, ...extra } })
const pool = (extra: object = {}) => createPool(section(extra), { clock })
const claims = { sub: 'build-7', aud: ourIssuer }

describe('an OIDC issuer', () => {
  test('names who its token speaks for', async () => {
    const token = await server.sign({ ...claims, exp: now + 300.5 })
    expect(await pool().authenticate(token)).toEqual({
      id: 'ci:build-7',
      issuer: 'ci',
      subject: 'build-7',
      use: 'workload',
      attributes: {},
      account: 'ci:build-7',
      instance: null,
      sessionSeconds: 8 * 3600,
      binding: 'none',
      person: null,
      tokenSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      tokenExpiresAt: now + 300,
    })
  })

  test.each(['ES256', 'RS256', 'PS256', 'EdDSA'])('takes %s, by its key alone', async (alg) => {
    expect(await pool().authenticate(await server.sign(claims, { alg }))).toMatchObject({ id: 'ci:build-7' })
  })

  test.each<[string, object, object, RegExp]>([
    [
      'another audience',
      { aud: 'https://elsewhere.example' },
      {},
      /audience \["https:\/\/elsewhere.example"\]; expected "https:\/\/hallpass.acme.example"/,
    ],
    ['an audience that starts like ours', { aud: `${ourIssuer}.evil.example` }, {}, /for audience/],
    ['no audience', { aud: undefined }, {}, /names no audience/],
    ['an empty list of audiences', { aud: [] }, {}, /names no audience/],
    ['no exp', { exp: undefined }, {}, /has no "exp"/],
    ['an exp past by more than the leeway', { exp: now - 30 }, {}, /expired 30 seconds ago/],
    ['an nbf beyond the leeway', { nbf: now + 31 }, {}, /not valid for another 31 seconds \("nbf"\)/],
    ['an iat in the future', { iat: now + 31 }, {}, /issued 31 seconds in the future \("iat"\)/],
    ['no sub', { sub: undefined }, {}, /has no "sub"/],
    ['a line break in sub', { sub: 'a\nb' }, {}, /control characters/],
    ['a sub that is read backwards', { sub: 'a\u202eb' }, {}, /control characters/],
    ['an empty sub', { sub: '' }, {}, /has no "sub"/],
    ['events, as a logout token has', { events: {} }, {}, /security event/],
    ['cnf without its proof', { cnf: { jkt: 'x' } }, {}, /bound to a key \("cnf"\)/],
    ['another typ', {}, { header: { typ: 'at+jwt' } }, /typ "at\+jwt" is not allowed/],
    ['the typ of a task token', {}, { header: { typ: 'task+jwt' } }, /typ "task\+jwt" is not allowed/],
    ['an unknown kid', {}, { kid: 'no-such' }, /no usable key named kid "no-such"/],
    ['the kid of another algorithm’s key', {}, { kid: 'rs256-1' }, /no usable key named kid "rs256-1" for alg "ES256"/],
    ['another issuer', { iss: 'https://issuer.example/' }, {}, /no configured issuer takes tokens with iss/],
  ])('refuses a token with %s', async (_what, over, options, expected) => {
    const token = await server.sign({ ...claims, ...over }, options)
    const shown = await refusalText(() => pool().authenticate(token), token)
    expect(shown).toMatch(/^invalid_token /)
    expect(shown).toMatch(expected)
  })

  test('has one leeway for exp, nbf and iat', async () => {
    const { authenticate } = pool({ leeway: '60s' })
    for (const times of [{ exp: now - 59 }, { nbf: now + 60 }, { iat: now + 60 }]) {
      expect(await authenticate(await server.sign({ ...claims, ...times }))).toMatchObject({ id: 'ci:build-7' })
    }
    const token = await server.sign({ ...claims, exp: now - 60 })
    expect(await refusalText(() => authenticate(token), token)).toMatch(/expired/)
  })

  test('holds a token to max_age by its iat', async () => {
    const { authenticate } = pool({ max_age: '5m' })
    const young = await server.sign({ ...claims, iat: now - 330, exp: now + 9000 })
    expect(await authenticate(young)).toMatchObject({ id: 'ci:build-7' })
    const old = await server.sign({ ...claims, iat: now - 331, exp: now + 9000 })
    expect(await refusalText(() => authenticate(old), old)).toMatch(/issued 331 seconds ago; at most 300/)
    const dateless = await server.sign({ ...claims, iat: undefined })
    expect(await refusalText(() => authenticate(dateless), dateless)).toMatch(/has no "iat"/)
  })

  test('is its exact URL', async () => {
    const token = await server.sign({ ...claims, iss: `${server.issuer}/` })
    expect(await refusalText(() => pool().authenticate(token), token)).toMatch(/no configured issuer/)
    const { find } = pool()
    expect(await refusalText(() => find('ci').authenticate(parseRawToken(token)), token)).toMatch(/is not this issuer/)
  })

  test('takes an absent typ as JWT, and others only when configured', async () => {
    expect(await pool().authenticate(await server.sign(claims, { header: { typ: undefined } }))).toBeDefined()
    const token = await server.sign(claims, { header: { typ: 'at+jwt' } })
    expect(await pool({ typ: ['at+jwt'] }).authenticate(token)).toBeDefined()
    const untyped = await server.sign(claims, { header: { typ: undefined } })
    expect(await refusalText(() => pool({ typ: ['at+jwt'] }).authenticate(untyped), untyped)).toMatch(
      /typ nothing is not allowed/,
    )
  })

  test('takes a token without kid only where one key fits its algorithm', async () => {
    const single = await server.sign(claims, { kid: null })
    expect(await pool().authenticate(single)).toMatchObject({ id: 'ci:build-7' })
    const second = await server.sign(claims, { kid: null, alg: 'EdDSA' })
    server.extraKeys.push({ ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }), kid: 'second' })
    expect(await refusalText(() => pool().authenticate(second), second)).toMatch(/names no key \("kid"\) and 2 of/)
    server.extraKeys.length = 0
  })

  test('refuses another’s signature under its own kid', async () => {
    const token = await thief.sign({ ...claims, iss: server.issuer }, { kid: 'es256-1' })
    expect(await refusalText(() => pool().authenticate(token), token)).toMatch(/signature does not verify/)
  })

  test('refuses any change of a signed claim', async () => {
    const [head, , signature] = (await server.sign(claims)).split('.')
    const forged = `${head}.${encode({ ...claims, iss: server.issuer, exp: now + 300, sub: 'admin' })}.${signature}`
    expect(await refusalText(() => pool().authenticate(forged), forged)).toMatch(/signature does not verify/)
  })

  test('never follows jku, x5u or jwk', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const header = {
      kid: 'mine',
      jku: `${thief.issuer}/jwks`,
      x5u: `${thief.issuer}/jwks`,
      jwk: publicKey.export({ format: 'jwk' }),
    }
    const token = await new SignJWT({ ...claims, iss: server.issuer, exp: now + 300 })
      .setProtectedHeader({ alg: 'ES256', ...header })
      .sign(privateKey)
    expect(await refusalText(() => pool().authenticate(token), token)).toMatch(/no usable key named kid "mine"/)
    expect(thief.requests).toEqual([])
  })

  test('refuses symmetric algorithms and none, whatever key they name', async () => {
    const payload = { ...claims, iss: server.issuer, exp: now + 300 }
    const hmac = await new SignJWT(payload)
      .setProtectedHeader({ alg: 'HS256', kid: 'rs256-1' })
      .sign(Buffer.from('the public key as a secret, of 32 bytes or more'))
    const none = `${encode({ alg: 'none' })}.${encode(payload)}.AA`
    for (const token of [hmac, none]) {
      expect(await refusalText(() => pool().authenticate(token), token)).toMatch(/alg "(HS256|none)" is not allowed/)
    }
    const token = await server.sign(claims, { alg: 'RS256' })
    const narrow = pool({ algorithms: ['ES256'] })
    expect(await refusalText(() => narrow.authenticate(token), token)).toMatch(/alg "RS256" is not allowed .*ES256/)
  })

  test('compares require exactly and by type, on raw and nested claims', async () => {
    const token = await server.sign({
      ...claims,
      owner_id: '65',
      fork: false,
      count: 3,
      big: 2 ** 53,
      k8s: { ns: 'prod' },
    })
    const accepted = [
      { owner_id: '65' },
      { owner_id: ['64', '65'] },
      { fork: false, count: 3 },
      { sub: 'build-7' },
      { k8s: { ns: ['dev', 'prod'] } },
    ]
    for (const require of accepted) expect(await pool({ require }).authenticate(token)).toBeDefined()
    const refused: [object, RegExp][] = [
      [{ owner_id: 65 }, /claim "owner_id" is "65"/],
      [{ owner_id: ['6', '5'] }, /claim "owner_id" is "65"/],
      [{ fork: 'false' }, /claim "fork" is false/],
      // 2^53 + 1 in the token would be the same number here.
      [{ big: 2 ** 53 }, /claim "big" is 9007199254740992/],
      [{ missing: 'x' }, /claim "missing" is absent/],
      [{ k8s: { ns: 'dev' } }, /claim "k8s.ns" is "prod"/],
      [{ k8s: 'prod' }, /claim "k8s" is \{/],
      [{ toString: { name: 'toString' } }, /claim "toString.name" is absent/],
    ]
    for (const [require, expected] of refused) {
      const shown = await refusalText(() => pool({ require }).authenticate(token), token)
      expect(shown).toMatch(expected)
      expect(shown).not.toContain('dev')
    }
  })

  test('gives typed attributes, and leaves out claims of another type', async () => {
    const attributes = {
      roles: { claim: 'groups', type: 'set' },
      level: { claim: 'level', type: 'number' },
      admin: { claim: 'admin', type: 'boolean' },
      city: { claim: ['address', 'city'], type: 'string' },
      inherited: { claim: 'constructor', type: 'string' },
    }
    const { authenticate } = pool({ attributes })
    const fitting = { groups: ['dba', 'sre', 'dba'], level: 3, admin: true, address: { city: 'Bonn' } }
    expect((await authenticate(await server.sign({ ...claims, ...fitting }))).attributes).toEqual({
      roles: ['dba', 'sre'],
      level: 3,
      admin: true,
      city: 'Bonn',
    })
    const others = { groups: 'dba', level: '3', admin: 'true', address: 'Bonn' }
    expect((await authenticate(await server.sign({ ...claims, ...others }))).attributes).toEqual({})
    const odd = { groups: ['dba', 1], level: 3.5, admin: 1, address: { city: null } }
    expect((await authenticate(await server.sign({ ...claims, ...odd }))).attributes).toEqual({})
  })

  test('makes account and instance of attributes, told apart whatever stands in them', async () => {
    const attributes = { org: { claim: 'org', type: 'string' }, repo: { claim: 'repo', type: 'string' } }
    const { authenticate } = pool({ attributes, account: ['org', 'repo'], instance: ['repo'] })
    const principal = await authenticate(await server.sign({ ...claims, org: 'a/b', repo: 'c%2F' }))
    expect(principal).toMatchObject({ id: 'ci:build-7', account: 'ci:a%2Fb/c%252F', instance: 'ci:c%252F' })
    for (const over of [{ org: 'a' }, { org: 'a', repo: '' }, { org: 'a', repo: 7 }]) {
      const token = await server.sign({ ...claims, ...over })
      expect(await refusalText(() => authenticate(token), token)).toMatch(/gives no "repo"/)
    }
  })

  test('counts operators as people by the configured claim, and refuses one without it', async () => {
    const { authenticate } = pool({ use: 'operator', audience: 'hallpass-operators', person: 'email' })
    const operator = { sub: 'u1', aud: 'hallpass-operators' }
    const principal = await authenticate(await server.sign({ ...operator, email: 'ana@acme.example' }))
    expect(principal).toMatchObject({ use: 'operator', person: 'ana@acme.example' })
    for (const over of [{}, { email: '' }, { email: ['ana@acme.example'] }]) {
      const token = await server.sign({ ...operator, ...over })
      expect(await refusalText(() => authenticate(token), token)).toMatch(/has no "email"/)
    }
  })
})
