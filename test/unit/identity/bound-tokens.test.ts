// Which key a token belongs to: by its issuer's word alone, and by what each single request proves.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import { malleated } from '../../support/dpop.js'
import { createManualClock, createPool, ourIssuer, refusalText } from './identity-fixtures.js'

const clock = createManualClock()
let server: OidcIssuer
beforeAll(async () => {
  server = await startOidcIssuer({ clock })
})
afterAll(() => server.stop())

const [mine, theirs] = ['m'.repeat(43), 't'.repeat(43)]
const pool = (over: object = {}) => createPool({ ci: { type: 'oidc', issuer: server.issuer, ...over } }, { clock })
const sign = (claims: object = {}) => server.sign({ sub: 'x', aud: ourIssuer, ...claims })

describe('cnf', () => {
  test('with its proof binds, each time anew; without it, or with another, the token is refused', async () => {
    const own = pool()
    const token = await sign({ cnf: { jkt: mine } })
    const alone = () => own.authenticate(token)
    const thief = () => own.authenticate(token, { jkt: theirs })
    // Twice: the second time the token is a remembered one.
    for (let i = 0; i < 2; i++) {
      expect(await refusalText(alone, token)).toMatch(/bound to a key \("cnf"\) and no proof/)
      expect(await refusalText(thief, token)).toMatch(/a DPoP proof shows another key/)
      expect(await own.authenticate(token, { jkt: mine })).toMatchObject({ binding: 'dpop', jkt: mine })
    }
  })

  test('of a certificate wants the certificate, and of both wants both', async () => {
    const own = pool()
    const byCertificate = await sign({ cnf: { 'x5t#S256': mine } })
    expect(await refusalText(() => own.authenticate(byCertificate, { jkt: mine }))).toMatch(/no proof of that key/)
    expect(await own.authenticate(byCertificate, { x5t: mine })).toMatchObject({ binding: 'mtls' })
    const both = await sign({ cnf: { 'x5t#S256': theirs, jkt: mine } })
    expect(await refusalText(() => own.authenticate(both, { jkt: mine }))).toMatch(/no proof of that key/)
    expect(await own.authenticate(both, { jkt: mine, x5t: theirs })).toMatchObject({ binding: 'dpop' })
  })

  test.each([
    ['an unknown member', { jkt: mine, kid: 'k' }],
    ['an unknown member that is like a thumbprint', { jkt: mine, 'jkt#S512': theirs }],
    ['only an unknown member', { jwk: {} }],
    ['nothing', {}],
    ['a list', [mine]],
    ['null', null],
    ['a text', mine],
    ['a thumbprint of another length', { jkt: `${mine}x` }],
    ['a thumbprint that is no text', { jkt: 7 }],
  ])('with %s is refused, whatever is proven', async (_name, cnf) => {
    const token = await sign({ cnf })
    expect(await refusalText(() => pool().authenticate(token, { jkt: mine }), token)).toMatch(
      /bound to a key \("cnf"\) by/,
    )
  })
})

test('a key that the caller chose binds nothing, and nothing of it is remembered', async () => {
  const own = pool()
  const token = await sign()
  expect(await own.authenticate(token, { jkt: mine })).toMatchObject({ binding: 'none', jkt: mine })
  expect(await own.authenticate(token, { jkt: theirs })).toMatchObject({ binding: 'none', jkt: theirs })
  expect(await own.authenticate(token)).not.toHaveProperty('jkt')
})

describe('bind: audience', () => {
  const aud = `${ourIssuer}#jkt=${mine}`
  test('takes the audience with a thumbprint, from who proves that key', async () => {
    const own = pool({ bind: 'audience' })
    const token = await sign({ aud })
    expect(await own.authenticate(token, { jkt: mine })).toMatchObject({ binding: 'dpop', jkt: mine })
    expect(await refusalText(() => own.authenticate(token), token)).toMatch(/no proof of that key/)
    expect(await refusalText(() => own.authenticate(token, { jkt: theirs }), token)).toMatch(/another key/)
    expect(await own.authenticate(await sign(), { jkt: mine })).toMatchObject({ binding: 'none' })
    // The same key twice is one key.
    expect(await own.authenticate(await sign({ aud: [aud, aud], cnf: { jkt: mine } }), { jkt: mine })).toMatchObject({
      binding: 'dpop',
    })
  })

  test('takes no other spelling, no second key, and nothing where it is not set', async () => {
    const refused = async (claims: object, over: object = { bind: 'audience' }) =>
      refusalText(async () => pool(over).authenticate(await sign(claims), { jkt: mine }))
    expect(await refused({ aud }, {})).toMatch(/is for audience/)
    for (const other of [`${aud}x`, `${aud.slice(0, -1)}=`, `${ourIssuer}#jkt=`, `${ourIssuer}x#jkt=${mine}`]) {
      expect(await refused({ aud: other })).toMatch(/is for audience/)
    }
    expect(await refused({ aud: [aud, `${ourIssuer}#jkt=${theirs}`] })).toMatch(/bound to several keys/)
    expect(await refused({ aud, cnf: { jkt: theirs } })).toMatch(/bound to several keys/)
    // A plain audience beside the bound one does not set it free.
    const both = await sign({ aud: [ourIssuer, aud] })
    expect(await refusalText(() => pool({ bind: 'audience' }).authenticate(both), both)).toMatch(/no proof of that key/)
  })
})

describe('single_use', () => {
  test('names what was signed, until the token is over, also when it is remembered', async () => {
    const own = pool({ single_use: true, leeway: '10s' })
    const exp = Math.floor(clock.now() / 1000) + 100
    const token = await sign({ exp })
    const { tokenUse } = await own.authenticate(token)
    expect(tokenUse?.until).toBe((exp + 10) * 1000)
    expect((await own.authenticate(token)).tokenUse).toEqual(tokenUse)
    const other = malleated(token)
    expect(other).not.toBe(token)
    expect((await own.authenticate(other)).tokenUse).toEqual(tokenUse)
    expect((await own.authenticate(await sign({ exp, jti: '2' }))).tokenUse?.digest).not.toBe(tokenUse?.digest)
  })

  test('is off unless set', async () => {
    expect(await pool().authenticate(await sign())).not.toHaveProperty('tokenUse')
  })
})
