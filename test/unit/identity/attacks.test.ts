// The attack table against a pool; test/e2e/attacks.test.ts runs the same rows over HTTP.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import { attacks, buildAttack } from '../../support/attack-tokens.js'
import { createManualClock, createPool, fixtureTime, ourIssuer, refusal } from './identity-fixtures.js'

const clock = createManualClock()
let server: OidcIssuer
beforeAll(async () => {
  server = await startOidcIssuer({ clock })
})
afterAll(() => server.stop())

const pool = () =>
  createPool(
    {
      ci: { type: 'oidc', issuer: server.issuer },
      prod: { type: 'spiffe', trust_domain: 'prod.acme.example', bundle: { file: 'spire/prod/bundle.json' } },
    },
    { clock },
  )
const build = (attack: (typeof attacks)[number]) =>
  buildAttack(attack, { issuer: server, claims: { sub: 'build-7', aud: ourIssuer }, now: fixtureTime / 1000 })

describe('the attack table', () => {
  test('names a source for each row, and no row twice', () => {
    for (const { source } of attacks) expect(source).toMatch(/RFC \d|CVE-\d|CWE-\d|SPIFFE|docs\/identity\.md/)
    expect(new Set(attacks.map(({ name }) => name)).size).toBe(attacks.length)
  })

  test.each(attacks.filter(({ code }) => code === 'accepted'))('takes $name ($source)', async (attack) => {
    expect(await pool().authenticate(await build(attack))).toMatchObject({ id: 'ci:build-7', account: 'ci:build-7' })
  })

  test.each(attacks.filter(({ code }) => code !== 'accepted'))('refuses $name ($source)', async (attack) => {
    const token = await build(attack)
    const { authenticate } = pool()
    const refused = await refusal(() => authenticate(token), token)
    expect(refused.code).toBe(attack.code)
    expect(refused.detail).toMatch(new RegExp(attack.detail ?? '^never$'))
    // What a terminal would obey is shown escaped.
    expect(refused.detail).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    // Shown again it is refused again: nothing of it was remembered.
    expect((await refusal(() => authenticate(token), token)).detail).toBe(refused.detail)
  })
})
