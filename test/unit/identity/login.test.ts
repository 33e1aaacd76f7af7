// The `login:` setting: what is refused at load, and what is told to clients.
import { expect, test } from '@jest/globals'
import { issuersConfig } from '../../../src/identity/issuer-config.js'
import { clientFacts, validateIssuers } from '../../../src/identity/issuers.js'
import { ourIssuer } from './identity-fixtures.js'

const staff = { type: 'oidc', use: 'operator', issuer: 'https://login.acme.example', audience: 'hallpass-cli' }
const ci = { type: 'oidc', preset: 'github-actions' }

/** Everything that is wrong with it, in one list. */
function problemsOf(section: unknown): string[] {
  const parsed = issuersConfig.safeParse(section)
  const problems = parsed.success ? validateIssuers(parsed.data, ourIssuer) : parsed.error.issues
  return problems.map(({ path, message }) => `${path.join('.')}: ${message}`)
}

test.each([
  [
    'for workloads',
    { ...staff, use: 'workload', login: { client_id: 'hallpass-cli' } },
    /^staff.login: .*use: operator/,
  ],
  [
    'without openid',
    { ...staff, login: { client_id: 'hallpass-cli', scopes: ['email'] } },
    /^staff.login.scopes: .*openid/,
  ],
  [
    'with a secret',
    { ...staff, login: { client_id: 'hallpass-cli', client_secret: 'x' } },
    /^staff.login: .*client_secret/,
  ],
  [
    'with another token',
    { ...staff, login: { client_id: 'hallpass-cli', token: 'jwt' } },
    /^staff.login.token: .*id_token/,
  ],
  [
    'with spaces in a scope',
    { ...staff, login: { client_id: 'hallpass-cli', scopes: ['openid', 'email groups'] } },
    /scopes/,
  ],
  [
    'whose ID tokens nobody here would accept',
    { ...staff, audience: 'hallpass-operators', login: { client_id: 'hallpass-cli' } },
    /^staff.login.client_id: an ID token's audience is "hallpass-cli"/,
  ],
])('a login %s is refused', (_name, entry, says) => {
  expect(problemsOf({ staff: entry })).toEqual([expect.stringMatching(says)])
})

test('an access token’s audience is the issuer’s to choose', () => {
  const login = { client_id: 'hallpass-cli', token: 'access_token' }
  expect(problemsOf({ staff: { ...staff, audience: 'https://hallpass.acme.example/operators', login } })).toEqual([])
})

test('clients are told the workloads’ audiences and the operators’ logins, and nothing else of an issuer', () => {
  const config = issuersConfig.parse({
    ci,
    other: { ...ci, issuer: 'https://ci.acme.example', audience: ['a', ourIssuer] },
    staff: { ...staff, login: { client_id: 'hallpass-cli' }, require: { tenant: 'acme' } },
    silent: { ...staff, issuer: 'https://other.acme.example' },
  })
  expect(clientFacts(config, ourIssuer)).toEqual({
    audiences: [ourIssuer, 'a'],
    login: [
      {
        name: 'staff',
        issuer: 'https://login.acme.example',
        audience: 'hallpass-cli',
        client_id: 'hallpass-cli',
        scopes: ['openid'],
        token: 'id_token',
      },
    ],
  })
})
