import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { importJWK, SignJWT } from 'jose'
import { createSpiffeDomain, type SpiffeDomain } from '../../../scripts/servers/stand-ins/spiffe-domain.js'
import {
  createManualClock,
  createPool,
  encode,
  fixturePath,
  ourIssuer,
  readFixture,
  refusalText,
  unsignedToken,
} from './identity-fixtures.js'

const paths = ['/ns/{namespace}/sa/{service_account}', '/agent/{owner}/{agent}']
const prod = { type: 'spiffe', trust_domain: 'prod.acme.example', bundle: { file: 'spire/prod/bundle.json' }, paths }
const staging = { type: 'spiffe', trust_domain: 'staging.acme.example', bundle: { file: 'spire/staging/bundle.json' } }
const real = createPool({ prod, staging })

describe('JWT-SVIDs of a real SPIRE', () => {
  test.each([
    ['prod/ns_ci_sa_deployer', '/ns/ci/sa/deployer', { namespace: 'ci', service_account: 'deployer' }],
    ['prod/ns_web_sa_frontend', '/ns/web/sa/frontend', { namespace: 'web', service_account: 'frontend' }],
    ['prod/agent_ana_coder-7', '/agent/ana/coder-7', { owner: 'ana', agent: 'coder-7' }],
    ['prod/two-audiences', '/ns/ci/sa/deployer', { namespace: 'ci', service_account: 'deployer' }],
  ])('%s is its SPIFFE ID, with attributes from its path', async (file, path, attributes) => {
    const id = `spiffe://prod.acme.example${path}`
    expect(await real.authenticate(readFixture(`spire/${file}.jwt`))).toMatchObject({
      id: `prod:${id}`,
      subject: id,
      account: `prod:${id}`,
      instance: null,
      attributes,
      use: 'workload',
      binding: 'none',
      person: null,
    })
  })

  test('of another trust domain and curve are taken by its own bundle', async () => {
    expect(await real.authenticate(readFixture('spire/staging/deployer.jwt'))).toMatchObject({
      id: 'staging:spiffe://staging.acme.example/ns/ci/sa/deployer',
      attributes: {},
    })
  })

  test.each([
    ['prod/expired', /expired \d+ seconds ago/],
    ['prod/other-audience', /audience \["https:\/\/elsewhere.example"\]; expected "https:\/\/hallpass.acme.example"/],
    ['staging/deployer-after-rotation', /trust bundle of staging.acme.example has no usable JWT key named kid/],
  ])('%s is refused', async (file, expected) => {
    const token = readFixture(`spire/${file}.jwt`)
    const shown = await refusalText(() => real.authenticate(token), token)
    expect(shown).toMatch(/^invalid_token /)
    expect(shown).toMatch(expected)
  })

  test('are taken after a rotation as soon as the bundle’s file has the next key', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'bundle-'))
    const file = join(directory, 'bundle.json')
    await copyFile(fixturePath('spire/staging/bundle.json'), file)
    const clock = createManualClock()
    const { authenticate } = createPool({ staging: { ...staging, bundle: { file } } }, { clock })
    const [before, after] = [
      readFixture('spire/staging/deployer.jwt'),
      readFixture('spire/staging/deployer-after-rotation.jwt'),
    ]
    expect(await authenticate(before)).toMatchObject({ issuer: 'staging' })
    await refusalText(() => authenticate(after), after)
    await copyFile(fixturePath('spire/staging/bundle-rotating.json'), file)
    clock.advance(1)
    expect(await authenticate(after)).toMatchObject({ issuer: 'staging' })
    expect(await authenticate(before)).toMatchObject({ issuer: 'staging' })
    await writeFile(file, '{"keys":[]}')
    clock.advance(1)
    expect(await refusalText(() => authenticate(before), before)).toMatch(/^invalid_token .*no usable JWT key/)
    await rm(directory, { recursive: true })
  })

  test('never cross trust domains', async () => {
    const token = readFixture('spire/prod/ns_ci_sa_deployer.jwt')
    const crossed = createPool({ staging, prod: { ...prod, bundle: staging.bundle } })
    expect(await refusalText(() => crossed.authenticate(token), token)).toMatch(/no usable JWT key/)
    const [header, , signature] = token.split('.')
    const claims = { sub: 'spiffe://staging.acme.example/ns/ci/sa/deployer', aud: [ourIssuer], exp: 2_110_713_469 }
    const moved = `${header}.${encode(claims)}.${signature}`
    expect(await refusalText(() => real.authenticate(moved), moved)).toMatch(
      /trust bundle of staging.acme.example has no/,
    )
  })
})

describe('a trust domain', () => {
  const clock = createManualClock()
  let domain: SpiffeDomain
  let directory: string
  beforeAll(async () => {
    domain = await createSpiffeDomain('td.example', clock)
    directory = await mkdtemp(join(tmpdir(), 'bundle-'))
    await writeFile(join(directory, 'td.json'), domain.bundle)
  })
  afterAll(() => rm(directory, { recursive: true }))
  const pool = (extra: object = {}) =>
    createPool(
      { agents: { type: 'spiffe', trust_domain: 'td.example', bundle: { file: 'td.json' }, ...extra } },
      { clock, directory },
    )

  test('vouches for what it signs, until it expires', async () => {
    const token = await domain.signJwtSvid('/agent/a', ourIssuer, { ttl: 60 })
    expect(await pool({ session: '1h' }).authenticate(token)).toMatchObject({
      id: 'agents:spiffe://td.example/agent/a',
      sessionSeconds: 3600,
      tokenExpiresAt: Math.floor(clock.now() / 1000) + 60,
    })
  })

  test.each(['/', '//x', '/a/', '/a/../b', '/a%20b', '/a?x', ':8080/a'])('refuses the path %p', async (path) => {
    const token = await domain.signJwtSvid(path, ourIssuer)
    expect(await refusalText(() => pool().authenticate(token), token)).toMatch(
      /is not a SPIFFE ID|no configured issuer/,
    )
  })

  test('refuses a token without audience, and one outside the configured algorithms or types', async () => {
    const noAudience = await domain.signJwtSvid('/a', [])
    expect(await refusalText(() => pool().authenticate(noAudience), noAudience)).toMatch(/names no audience/)
    const token = await domain.signJwtSvid('/a', ourIssuer)
    expect(await refusalText(() => pool({ algorithms: ['ES384'] }).authenticate(token), token)).toMatch(/alg "ES256"/)
    expect(await refusalText(() => pool({ typ: ['JOSE'] }).authenticate(token), token)).toMatch(
      /typ "JWT" is not allowed/,
    )
    expect(await pool({ typ: ['JOSE', 'JWT'] }).authenticate(token)).toBeDefined()
  })

  test('takes a token without kid by trying its keys', async () => {
    const { privateKey, publicKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
      'sign',
      'verify',
    ])
    const jwk = { ...(await crypto.subtle.exportKey('jwk', publicKey)), use: 'jwt-svid', kid: 'other' }
    const keys = [
      ...JSON.parse(domain.bundle).keys,
      { kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y, use: jwk.use, kid: jwk.kid },
    ]
    await writeFile(join(directory, 'two.json'), JSON.stringify({ keys }))
    const claims = { sub: 'spiffe://td.example/a', aud: ourIssuer, exp: clock.now() / 1000 + 60 }
    const signing = await importJWK((await crypto.subtle.exportKey('jwk', privateKey)) as never, 'ES256')
    const sign = (header: object) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256', ...header }).sign(signing)
    const two = pool({ bundle: { file: 'two.json' } })
    expect(await two.authenticate(await sign({}))).toMatchObject({ subject: claims.sub })
    expect(await two.authenticate(await sign({ typ: 'JOSE' }))).toMatchObject({ subject: claims.sub })
    const token = await sign({})
    expect(await refusalText(() => pool().authenticate(token), token)).toMatch(/signature does not verify/)
    const wit = await sign({ typ: 'wit+jwt' })
    expect(await refusalText(() => two.authenticate(wit), wit)).toMatch(/^invalid_token the token is a WIT-SVID/)
  })

  test.each(['wit+jwt', 'WIT+JWT', 'application/wit+jwt'])(
    'refuses a WIT-SVID (typ %s) by its name, whatever is configured',
    async (typ) => {
      // WIT-SVID.md: no audience, and bound to the key in cnf.
      const claims = { sub: 'spiffe://td.example/a', exp: clock.now() / 1000 + 60, cnf: { jwk: { kty: 'OKP' } } }
      const wit = unsignedToken(claims, { alg: 'ES256', kid: 'td.example-jwt-1', typ })
      expect(await refusalText(() => pool({ typ: [typ, 'JWT'] }).authenticate(wit), wit)).toMatch(
        /^invalid_token the token is a WIT-SVID \(typ "wit\+jwt"\): it identifies nobody here, present a JWT-SVID/,
      )
    },
  )

  test('may make the account of what its paths give', async () => {
    const owned = pool({ paths: ['/agent/{owner}/{agent}'], account: ['owner'] })
    const token = await domain.signJwtSvid('/agent/ana/coder-7', ourIssuer)
    expect(await owned.authenticate(token)).toMatchObject({ account: 'agents:ana' })
    const other = await domain.signJwtSvid('/build/7', ourIssuer)
    expect(await refusalText(() => owned.authenticate(other), other)).toMatch(/gives no "owner"/)
  })
})
