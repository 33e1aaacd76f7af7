import { inspect } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { BrokerError } from '../../../src/core/errors.js'
import { parseVaultRecipe, validateVaultRecipe, vaultConfig } from '../../../src/providers/vault-config.js'

const plain = {
  type: 'vault',
  address: 'https://vault.acme.example:8200',
  auth: { method: 'jwt', mount: 'jwt', role: 'hallpass' },
  token_role: 'hallpass-lease',
}
const secret = { kind: 'secret', path: 'database/creds/orders-reader', policies: ['hp-orders-reader'] }

const slot = (name: string) => `\${${name}}`

describe('the section of a vault provider', () => {
  test('fills in the defaults that the example states', () => {
    expect(vaultConfig.parse(plain)).toMatchObject({ timeout: 5, concurrency: 16 })
    const { auth } = vaultConfig.parse({ ...plain, auth: { method: 'kubernetes', role: 'hallpass' } })
    expect(auth).toMatchObject({ mount: 'kubernetes', jwt_file: '/var/run/secrets/kubernetes.io/serviceaccount/token' })
  })

  test('keeps the address exactly as written, since Vault compares audiences as text', () => {
    expect(vaultConfig.parse({ ...plain, address: 'https://v.example/' }).address).toBe('https://v.example/')
  })

  test('never prints a secret_id', () => {
    const parsed = vaultConfig.parse({ ...plain, auth: { method: 'approle', role_id: 'r', secret_id: 'very-secret' } })
    expect(`${JSON.stringify(parsed)} ${inspect(parsed, { depth: 9 })}`).not.toContain('very-secret')
  })

  test.each([
    ['an unknown key', { ...plain, adress: 'x' }],
    ['plain http to another host', { ...plain, address: 'http://vault.acme.example' }],
    ['an address with a query', { ...plain, address: 'https://v.example/?x=1' }],
    ['a mount that climbs', { ...plain, auth: { method: 'jwt', mount: '../sys', role: 'hallpass' } }],
    ['a method it does not know', { ...plain, auth: { method: 'userpass', role: 'hallpass' } }],
    ['settings of another method', { ...plain, auth: { method: 'jwt', role: 'hallpass', secret_id: 'x' } }],
    ['a token file by a relative path', { ...plain, auth: { method: 'token', token_file: 'token' } }],
    ['a ca that is no certificate', { ...plain, ca: 'file:ca.pem' }],
    ['a time-out of a day', { ...plain, timeout: '1d' }],
    ['a token role that is a path', { ...plain, token_role: 'a/b' }],
  ])('refuses %s', (_what, section) => {
    expect(vaultConfig.safeParse(section).success).toBe(false)
  })
})

describe('a recipe with its placeholders', () => {
  test.each([
    [secret],
    [
      {
        ...secret,
        path: `database/creds/${slot('resource.vault_role')}-migrate-${slot('declared.change_type')}`,
        policies: [`hp-${slot('resource.x')}`],
      },
    ],
    [{ kind: 'token', policies: [`read-${slot('resource.vault_role')}`] }],
  ])('accepts %j', (recipe) => {
    expect(validateVaultRecipe(recipe, { standing: false })).toEqual([])
  })

  test.each([
    ['no kind', { path: secret.path, policies: secret.policies }, 'kind'],
    ['no policies', { ...secret, policies: [] }, 'policies'],
    ['the root policy', { ...secret, policies: ['root'] }, 'policies.0'],
    ['a policy in capitals, which Vault lowers', { ...secret, policies: ['HP'] }, 'policies.0'],
    ['a glob', { ...secret, policies: ['hp-*'] }, 'policies.0'],
    ['a path of Vault itself', { ...secret, path: 'sys/policies/acl/x' }, 'path'],
    ['a login path', { ...secret, path: 'auth/token/create' }, 'path'],
    ['a trailing slash', { ...secret, path: 'secret/data/x/' }, 'path'],
    ['a leading slash', { ...secret, path: '/secret/data/x' }, 'path'],
    ['dot segments', { ...secret, path: 'secret/../sys/x' }, 'path'],
    ['a query', { ...secret, path: 'secret/data/x?version=1' }, 'path'],
    ['percent signs', { ...secret, path: 'secret/%2e%2e/x' }, 'path'],
    ['half a placeholder', { ...secret, path: `database/creds/${slot('resource.x').slice(0, -1)}` }, 'path'],
    ['a path on a token', { ...secret, kind: 'token' }, ''],
  ])('refuses %s', (_what, recipe, where) => {
    const problems = validateVaultRecipe(recipe, { standing: false })
    expect(problems.map(({ path }) => path.join('.'))).toEqual([where])
  })

  test('kv needs standing said on the grant, and nothing else may say it', () => {
    const kv = { kind: 'kv', path: 'secret/data/settings', policies: ['hp-settings'] }
    expect(validateVaultRecipe(kv, { standing: true })).toEqual([])
    expect(validateVaultRecipe(kv, { standing: false })[0]?.message).toContain('standing: true')
    expect(validateVaultRecipe(secret, { standing: true })[0]?.message).toContain('remove')
  })
})

describe('a filled recipe', () => {
  test.each([
    [{ ...secret, path: 'database/creds/..' }],
    [{ ...secret, policies: [slot('resource.x')] }],
    [{ ...secret, path: 'a' }],
  ])('refuses %j as unfillable', (recipe) => {
    expect(() => parseVaultRecipe(recipe)).toThrow(BrokerError)
    expect(() => parseVaultRecipe(recipe)).toThrow('unfillable_recipe')
  })
})
