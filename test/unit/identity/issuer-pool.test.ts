import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import { createManualClock, createPool, ourIssuer, readFixture, refusalText } from './identity-fixtures.js'

const clock = createManualClock()
let known: OidcIssuer
let unknown: OidcIssuer
beforeAll(async () => {
  known = await startOidcIssuer({ clock })
  unknown = await startOidcIssuer({ clock })
})
afterAll(() => Promise.all([known.stop(), unknown.stop()]))

const prod = { type: 'spiffe', trust_domain: 'prod.acme.example', bundle: { file: 'spire/prod/bundle.json' } }
const staging = { type: 'spiffe', trust_domain: 'staging.acme.example', bundle: { file: 'spire/staging/bundle.json' } }

describe('the issuer pool', () => {
  test('asks the network nothing for an issuer that is not configured', async () => {
    const { authenticate } = createPool({ ci: { type: 'oidc', issuer: known.issuer } }, { clock })
    const token = await unknown.sign({ sub: 'x', aud: ourIssuer })
    expect(await refusalText(() => authenticate(token), token)).toMatch(/^invalid_token no configured issuer takes/)
    expect(unknown.requests).toEqual([])
    expect(known.requests).toEqual([])
  })

  test('never takes what Hallpass itself signed', async () => {
    const { authenticate } = createPool({ ci: { type: 'oidc', issuer: known.issuer } }, { clock })
    for (const iss of [ourIssuer, `${ourIssuer}/federation`]) {
      const token = await known.sign({ iss, sub: 'hallpass', aud: ourIssuer })
      expect(await refusalText(() => authenticate(token), token)).toMatch(/signed by Hallpass itself/)
    }
  })

  test('tells two issuers with one iss apart by audience', async () => {
    const pool = createPool(
      {
        machines: { type: 'oidc', issuer: known.issuer },
        staff: { type: 'oidc', issuer: known.issuer, use: 'operator', audience: ['operators', 'console'] },
      },
      { clock },
    )
    const workload = await pool.authenticate(await known.sign({ sub: 'x', aud: ourIssuer }))
    expect(workload).toMatchObject({ id: 'machines:x', use: 'workload' })
    const operator = await pool.authenticate(await known.sign({ sub: 'x', aud: 'console' }))
    expect(operator).toMatchObject({ id: 'staff:x', use: 'operator' })
    const neither = await known.sign({ sub: 'x', aud: 'elsewhere' })
    expect(await refusalText(() => pool.authenticate(neither), neither)).toMatch(/no configured issuer .*"elsewhere"/)
    const both = await known.sign({ sub: 'x', aud: ['console', ourIssuer] })
    expect(await refusalText(() => pool.authenticate(both), both)).toMatch(/fits the issuers machines and staff/)
  })

  test('tells two of one trust domain apart by audience', async () => {
    const { authenticate } = createPool({ prod, other: { ...prod, audience: 'elsewhere' } }, { clock })
    const forged = await unknown.sign({ sub: 'spiffe://prod.acme.example/x', aud: 'elsewhere' })
    expect(await refusalText(() => authenticate(forged), forged)).toMatch(/trust bundle of prod.acme.example has no/)
    const neither = await unknown.sign({ sub: 'spiffe://prod.acme.example/x', aud: 'nowhere' })
    expect(await refusalText(() => authenticate(neither), neither)).toMatch(/no configured issuer .*"nowhere"/)
  })

  test('chooses a trust domain by the sub, whatever its iss says', async () => {
    const { authenticate } = createPool({ prod, staging }, { clock })
    const token = readFixture('spire/staging/deployer.jwt')
    expect(await authenticate(token)).toMatchObject({ issuer: 'staging' })
    const foreign = await unknown.sign({ sub: 'spiffe://other.example/x', aud: ourIssuer })
    expect(await refusalText(() => authenticate(foreign), foreign)).toMatch(/no configured issuer/)
    const forged = await unknown.sign({ sub: 'spiffe://prod.acme.example/x', aud: ourIssuer })
    expect(await refusalText(() => authenticate(forged), forged)).toMatch(/trust bundle of prod.acme.example has no/)
  })
})
