import { describe, expect, test } from '@jest/globals'
import { attributeTypesOf, type IssuersConfig, issuersConfig } from '../../../src/identity/issuer-config.js'
import { createIssuers, validateIssuers } from '../../../src/identity/issuers.js'
import { createManualClock, ourIssuer } from './identity-fixtures.js'

const oidc = { type: 'oidc', issuer: 'https://login.acme.example' }
const spiffe = { type: 'spiffe', trust_domain: 'prod.acme.example', bundle: { file: 'prod.bundle.json' } }
const example = {
  ci: {
    type: 'oidc',
    preset: 'github-actions',
    issuer: 'https://token.actions.githubusercontent.com',
    audience: 'https://hallpass.acme.example',
    require: { repository_owner_id: '65' },
    max_stale: '1h',
  },
  staff: {
    ...oidc,
    use: 'operator',
    audience: 'hallpass-operators',
    algorithms: ['ES256'],
    person: 'email',
    attributes: { roles: { claim: 'groups', type: 'set' }, email: { claim: 'email', type: 'string' } },
  },
  prod: { ...spiffe, paths: ['/ns/{namespace}/sa/{service_account}', '/agent/{owner}/{agent}'], session: '8h' },
  cluster: {
    type: 'oidc',
    preset: 'kubernetes',
    issuer: 'https://oidc.cluster.acme.example',
    account: ['kubernetes_namespace', 'kubernetes_service_account'],
    instance: ['kubernetes_pod_uid'],
  },
}

function problemsOf(section: unknown): string[] {
  const { error } = issuersConfig.safeParse(section)
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`)
}
const parse = (section: unknown): IssuersConfig => issuersConfig.parse(section)

describe('the issuers section', () => {
  test('of the example is taken, with its defaults', () => {
    const config = parse(example)
    expect(validateIssuers(config, ourIssuer)).toEqual([])
    expect(config.ci).toMatchObject({
      use: 'workload',
      audience: [ourIssuer],
      max_stale: 3600,
      leeway: 30,
      typ: ['JWT'],
    })
    expect(config.ci).toMatchObject({ session: 28_800, task_token: 'optional', allow_private_addresses: false })
    expect(config.prod).toMatchObject({ use: 'workload', typ: ['JWT', 'JOSE'], session: 28_800 })
    for (const entry of Object.values(config)) {
      expect(entry.algorithms.filter((name) => /^(HS|none)/.test(name))).toEqual([])
    }
    expect(config.prod?.algorithms).not.toContain('EdDSA')
    const deps = { clock: createManualClock(), ourIssuer, directory: '.' }
    expect(createIssuers(config, deps).map(({ name, use }) => `${name} ${use}`)).toEqual([
      'ci workload',
      'staff operator',
      'prod workload',
      'cluster workload',
    ])
  })

  test('of the example gives the attributes of the generated schema, and their types', () => {
    const config = parse(example)
    const types = Object.fromEntries(Object.values(config).flatMap((entry) => Object.entries(attributeTypesOf(entry))))
    expect(types).toMatchObject({ roles: 'Set<String>', email: 'String', namespace: 'String', agent: 'String' })
    expect(types).toMatchObject({ repository_id: 'String', kubernetes_pod_uid: 'String' })
    expect(
      attributeTypesOf(
        parse({ a: { ...oidc, attributes: { n: { claim: 'n', type: 'number' }, b: { claim: 'b', type: 'boolean' } } } })
          .a ?? never(),
      ),
    ).toEqual({ n: 'Long', b: 'Bool' })
  })

  test.each<[string, unknown, RegExp]>([
    ['an issuer name in capitals', { CI: oidc }, /issuer name/],
    ['an issuer name with a colon', { 'a:b': oidc }, /issuer name/],
    ['no type', { a: { issuer: oidc.issuer } }, /type.*oidc or spiffe/],
    ['an unknown type', { a: { ...oidc, type: 'saml' } }, /oidc or spiffe/],
    ['an unknown key', { a: { ...oidc, audiance: 'x' } }, /audiance/],
    ['no issuer', { a: { type: 'oidc' } }, /a\.issuer: expected the issuer/],
    [
      'no issuer with a preset of many',
      { a: { type: 'oidc', preset: 'kubernetes' } },
      /a\.issuer: expected the issuer/,
    ],
    ['an unencrypted issuer', { a: { ...oidc, issuer: 'http://login.acme.example' } }, /a\.issuer: expected an https/],
    ['an unknown preset', { a: { ...oidc, preset: 'jenkins' } }, /a\.preset: expected one of github-actions, gitlab/],
    ['a symmetric algorithm', { a: { ...oidc, algorithms: ['HS256'] } }, /a\.algorithms\.0: expected asymmetric/],
    ['none', { a: { ...oidc, algorithms: ['none'] } }, /a\.algorithms\.0: expected asymmetric/],
    ['no algorithms', { a: { ...oidc, algorithms: [] } }, /a\.algorithms/],
    ['a leeway beyond a minute', { a: { ...oidc, leeway: '61s' } }, /a\.leeway: expected at most 60s/],
    ['a duration without unit', { a: { ...oidc, max_age: '60' } }, /a\.max_age: expected a duration/],
    ['an empty audience', { a: { ...oidc, audience: '' } }, /a\.audience/],
    ['no audiences', { a: { ...oidc, audience: [] } }, /a\.audience/],
    [
      'a reserved attribute',
      { a: { ...oidc, attributes: { account: { claim: 'x', type: 'string' } } } },
      /a\.attributes/,
    ],
    [
      'an attribute of unknown type',
      { a: { ...oidc, attributes: { x: { claim: 'x', type: 'list' } } } },
      /string, number/,
    ],
    ['an account of nothing known', { a: { ...oidc, account: ['org'] } }, /a\.account\.0: org is no attribute/],
    [
      'an account of what objects inherit',
      { a: { ...oidc, account: ['constructor'] } },
      /a\.account\.0: constructor is no/,
    ],
    [
      'an instance of a set',
      { a: { ...oidc, attributes: { g: { claim: 'g', type: 'set' } }, instance: ['g'] } },
      /is a set/,
    ],
    [
      'a number where GitHub has a string',
      { a: { type: 'oidc', preset: 'github-actions', require: { repository_id: 74 } } },
      /a\.require\.repository_id: expected a string in quotes/,
    ],
    [
      'the same in a list',
      { a: { type: 'oidc', preset: 'github-actions', require: { run_id: ['7', 7] } } },
      /a\.require\.run_id/,
    ],
    [
      'a string where GitLab has a number',
      { a: { type: 'oidc', preset: 'gitlab', require: { runner_id: '1' } } },
      /a\.require\.runner_id: expected a number: gitlab gives/,
    ],
    [
      'a text where CircleCI has a boolean',
      {
        a: {
          type: 'oidc',
          preset: 'circleci',
          issuer: 'https://oidc.circleci.com/org/1',
          require: { 'oidc.circleci.com/ssh-rerun': 'false' },
        },
      },
      /ssh-rerun: expected a boolean/,
    ],
    [
      'a number where AWS has a string, nested',
      {
        a: {
          type: 'oidc',
          preset: 'aws',
          issuer: 'https://x.tokens.sts.global.api.aws',
          require: { 'https://sts.amazonaws.com/': { aws_account: 123456789012 } },
        },
      },
      /aws_account: expected a string in quotes: aws gives/,
    ],
    ['an empty list to require', { a: { ...oidc, require: { sub: [] } } }, /a\.require\.sub/],
    [
      'two places for keys',
      { a: { ...oidc, jwks: { file: 'x', uri: 'https://x.example' } } },
      /a\.jwks: expected \{ file/,
    ],
    ['no bundle', { a: { type: 'spiffe', trust_domain: 'td' } }, /a\.bundle/],
    [
      'a trust domain as a URI',
      { a: { ...spiffe, trust_domain: 'spiffe://td' } },
      /a\.trust_domain: expected a trust domain/,
    ],
    ['operators by SPIFFE', { a: { ...spiffe, use: 'operator' } }, /a\.use: expected workload/],
    ['EdDSA for SPIFFE', { a: { ...spiffe, algorithms: ['EdDSA'] } }, /a\.algorithms\.0: expected asymmetric/],
    ['a path template of half a segment', { a: { ...spiffe, paths: ['/ns/x{y}'] } }, /a\.paths\.0: a segment is/],
    ['a path template with a reserved name', { a: { ...spiffe, paths: ['/{issuer}'] } }, /a\.paths\.0: issuer is/],
  ])('with %s is refused where it stands', (_what, section, expected) => {
    expect(problemsOf(section).join('\n')).toMatch(expected)
  })

  test.each<[string, object, string, RegExp]>([
    ['Hallpass as its own issuer', { a: { ...oidc, issuer: ourIssuer } }, 'a.issuer', /Hallpass itself/],
    ['its federation identity', { a: { ...oidc, issuer: `${ourIssuer}/federation` } }, 'a.issuer', /Hallpass itself/],
    [
      'one iss and audience twice',
      { a: oidc, b: { ...oidc, use: 'operator' } },
      'b.audience',
      /an audience of "a" too/,
    ],
    ['one trust domain twice', { a: spiffe, b: { ...spiffe, audience: ['x', ourIssuer] } }, 'b.audience', /"a" too/],
    [
      'one attribute with two types',
      { a: { ...spiffe, paths: ['/{owner}'] }, b: { ...oidc, attributes: { owner: { claim: 'o', type: 'number' } } } },
      'b.attributes.owner',
      /owner is Long here and String in issuer "a"/,
    ],
  ])('with %s is refused as a whole', (_what, section, path, expected) => {
    const config = parse(section)
    const problems = validateIssuers(config, ourIssuer)
    expect(problems.map((problem) => problem.path.join('.'))).toEqual([path])
    expect(problems[0]?.message).toMatch(expected)
    expect(() => createIssuers(config, { clock: createManualClock(), ourIssuer, directory: '.' })).toThrow(expected)
  })

  test('lets two issuers share an iss when their audiences differ', () => {
    const config = parse({ a: oidc, b: { ...oidc, use: 'operator', audience: 'operators' } })
    expect(validateIssuers(config, ourIssuer)).toEqual([])
  })
})

function never(): never {
  throw new Error('no such entry')
}
