// Each preset against the claims that its issuer's own documentation, or a real token, shows.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import { issuersConfig } from '../../../src/identity/issuer-config.js'
import { validateIssuers } from '../../../src/identity/issuers.js'
import { presetNames, presets } from '../../../src/identity/presets/known.js'
import { createManualClock, createPool, ourIssuer, readFixture, refusalText } from './identity-fixtures.js'
import { project, rows } from './preset-rows.js'

const clock = createManualClock()
let server: OidcIssuer
beforeAll(async () => {
  server = await startOidcIssuer({ clock, algorithms: ['RS256', 'ES384', 'ES256'] })
})
afterAll(() => server.stop())

type Claims = Record<string, unknown>
const fixtureOf = (name: string) => JSON.parse(readFixture(`claims/${name}.json`))
const variantOf = (fixture: string, name: string): Claims =>
  fixtureOf(fixture).variants.find((one: { name: string }) => one.name.startsWith(name)).claims

/** A real issuer's claims, signed by the stand-in for us and now. */
function signReal(claims: Claims, over: Claims = {}, header: object = { alg: 'RS256' }): Promise<string> {
  const { iss: _iss, iat: _iat, exp: _exp, nbf: _nbf, ...rest } = claims
  return server.sign({ ...rest, aud: ourIssuer, ...over }, header)
}

const pool = (preset: string, extra: object = {}) =>
  createPool({ a: { type: 'oidc', preset, issuer: server.issuer, ...extra } }, { clock })

function changed(claims: Claims, [name = '', ...rest]: string[], value: unknown): Claims {
  return { ...claims, [name]: rest.length === 0 ? value : changed(claims[name] as Claims, rest, value) }
}

describe.each(rows)('the preset $preset', (row) => {
  const { claims } = fixtureOf(row.fixture)

  test('gives exactly these attributes, account and instance', async () => {
    const principal = await pool(row.preset).authenticate(await signReal(claims))
    expect(principal).toMatchObject({ id: `a:${claims.sub}`, account: row.account, instance: row.instance })
    expect(principal.attributes).toEqual(row.attributes)
  })

  test('leaves out a claim of another type, and converts none', async () => {
    const [path, value, attribute] = row.wrong
    const { attributes } = await pool(row.preset).authenticate(await signReal(changed(claims, path, value)))
    const { [attribute]: _gone, ...left } = row.attributes
    expect(attributes).toEqual(left)
  })

  test('sees another run of the same pipeline as another instance of the same account', async () => {
    const again = await pool(row.preset).authenticate(await signReal(claims, row.nextRun))
    expect(again.account).toBe(row.account)
    if (row.instance === null) expect(again.instance).toBeNull()
    else expect(again.instance).not.toBe(row.instance)
  })

  test('refuses a token without what makes its account', async () => {
    const token = await signReal(changed(claims, row.needed, undefined))
    expect(await refusalText(() => pool(row.preset).authenticate(token), token)).toMatch(/^invalid_token .*(no "|azp)/)
  })

  test('takes only the algorithms that its issuer signs with, unless told', async () => {
    const token = await signReal(claims, {}, { alg: 'ES256' })
    expect(await refusalText(() => pool(row.preset).authenticate(token), token)).toMatch(/alg "ES256" is not allowed/)
    const told = await pool(row.preset, { algorithms: ['ES256'] }).authenticate(token)
    expect(told.account).toBe(row.account)
  })
})

test('a real token of gitlab.com is its project’s', async () => {
  const principal = await pool('gitlab').authenticate(await signReal(fixtureOf('gitlab-real-token').claims))
  expect(principal).toMatchObject({ account: 'a:76366029', instance: 'a:76366029/12217223061' })
})

test('Google: people are refused, a token without instance too unless `instance: []`', async () => {
  const person = await signReal(variantOf('gcp-identity-token', 'human'))
  expect(await refusalText(() => pool('gcp').authenticate(person), person)).toMatch(/token is a person's/)
  const standard = await signReal(variantOf('gcp-identity-token', 'standard'))
  expect(await refusalText(() => pool('gcp').authenticate(standard), standard)).toMatch(/gives no "instance_id"/)
  expect(await pool('gcp', { instance: [] }).authenticate(standard)).toMatchObject({ instance: null })
})

test('Azure: a token of a person in the same tenant is refused; both forms of issuer are workloads', async () => {
  const delegated = variantOf('azure-managed-identity', 'delegated')
  for (const over of [{}, { scp: undefined }, { idtyp: undefined }]) {
    const token = await signReal(delegated, over)
    expect(await refusalText(() => pool('azure').authenticate(token), token)).toMatch(/a person signed in/)
  }
  const second = await pool('azure').authenticate(await signReal(variantOf('azure-managed-identity', 'v2')))
  expect(second).toMatchObject({ sessionSeconds: 86_400, attributes: { oid: '33333333-4444-5555-6666-777777777777' } })
})

test('AWS: what the caller wrote into request_tags becomes nothing', async () => {
  const { attributes } = await pool('aws').authenticate(
    await signReal(variantOf('aws-outbound-web-identity', 'attack'), {}, { alg: 'ES384' }),
  )
  expect(JSON.stringify(attributes)).not.toMatch(/production|admin/)
})

test('HCP Terraform: the plan of a run is another instance than its apply', async () => {
  const plan = await pool('hcp-terraform').authenticate(await signReal(variantOf('terraform-cloud', 'plan')))
  expect(plan.instance).toBe('a:ws-mbsd5E3Ktt5Rg2Xm/run-X3n1AUXNGWbfECsJ/plan')
})

test('CircleCI: a fork has the account of its base, and another vcs_origin', async () => {
  const fork = await pool('circleci').authenticate(await signReal(variantOf('circleci', 'fork')))
  expect(fork).toMatchObject({ account: `a:${project}`, attributes: { vcs_origin: 'github.com/attacker/repo-1' } })
})

describe('require', () => {
  const { claims } = fixtureOf('gitlab-id-token')
  test.each<[string, object, boolean]>([
    ['the same string', { project_id: '20' }, true],
    ['one of several', { project_id: ['19', '20'] }, true],
    ['a longer string', { project_id: '200' }, false],
    ['another case', { ref_type: 'Branch' }, false],
    ['the same number', { runner_id: 1 }, true],
    ['a claim that objects inherit', { toString: 'x' }, false],
  ])('%s', async (_what, require, isTaken) => {
    const token = await signReal(claims)
    const { authenticate } = pool('gitlab', { require })
    if (isTaken) expect(await authenticate(token)).toMatchObject({ account: 'a:20' })
    else expect(await refusalText(() => authenticate(token), token)).toMatch(/"require" does not allow/)
  })

  test.each([
    ['1', 1],
    ['true', true],
    ['false', false],
    ['0', 0],
    ['', null],
    ['null', null],
  ])('the text %j and the value %j are not the same', async (written, value) => {
    const plain = { type: 'oidc', issuer: server.issuer }
    const create = (require: unknown) => createPool({ a: { ...plain, require: { claim: require } } }, { clock })
    const typed = await signReal({ sub: 'x', claim: value })
    const textual = await signReal({ sub: 'x', claim: written })
    expect(await refusalText(() => create(written).authenticate(typed), typed)).toMatch(/does not allow/)
    if (value === null) return
    expect(await refusalText(() => create(value).authenticate(textual), textual)).toMatch(/does not allow/)
    expect(await create(value).authenticate(typed)).toMatchObject({ subject: 'x' })
  })
})

test('all presets can stand beside each other: no attribute has two types', () => {
  const section = Object.fromEntries(
    presetNames.map((preset) => [preset, { type: 'oidc', preset, issuer: `https://${preset}.example` }]),
  )
  expect(validateIssuers(issuersConfig.parse(section), ourIssuer)).toEqual([])
  for (const { account, instance, attributes, sessionSeconds } of Object.values(presets)) {
    for (const name of [...account, ...(instance ?? [])]) expect(Object.keys(attributes)).toContain(name)
    expect(sessionSeconds).toBeGreaterThan(0)
  }
})
