import { describe, expect, test } from '@jest/globals'
import { vaultConfig } from '../../../src/providers/vault-config.js'
import { setupText, vaultSetupSteps } from '../../../src/providers/vault-setup.js'
import { allRecipes, secretRecipe } from '../../contracts/vault-under-test.js'

const issuer = 'https://hallpass.acme.example/federation'
const section = (auth: object) =>
  vaultConfig.parse({ type: 'vault', address: 'https://v.example:8200', token_role: 'hallpass-lease', auth })
const jwt = section({ method: 'jwt', role: 'hallpass' })

describe('what Vault needs', () => {
  test('one policy per secret, one token role with them all, and the login', () => {
    const steps = new Map(vaultSetupSteps(jwt, allRecipes, issuer).map(({ path, body }) => [path, body]))
    expect([...steps.keys()]).toEqual([
      'sys/policies/acl/hp-orders-reader',
      'sys/policies/acl/hp-settings',
      'auth/token/roles/hallpass-lease',
      'sys/policies/acl/hallpass',
      'sys/auth/jwt',
      'auth/jwt/config',
      'auth/jwt/role/hallpass',
    ])
    expect(steps.get('auth/token/roles/hallpass-lease')).toMatchObject({
      allowed_policies: ['hp-orders-reader', 'read-orders', 'hp-settings'],
      orphan: true,
      renewable: false,
      token_no_default_policy: true,
    })
    expect(steps.get('auth/jwt/config')).toMatchObject({
      jwks_url: `${issuer}/.well-known/jwks.json`,
      bound_issuer: issuer,
    })
    expect(steps.get('auth/jwt/role/hallpass')).toMatchObject({
      bound_subject: 'hallpass',
      bound_audiences: [jwt.address],
    })
  })

  test('Hallpass itself may end leases of its own secrets alone, and nothing needs sudo', () => {
    const own = vaultSetupSteps(jwt, allRecipes, issuer).find(({ path }) => path === 'sys/policies/acl/hallpass')
    const policy = String(own?.body.policy)
    expect(policy.match(/"lease_id" = \["database\/creds\/orders-reader\/\*"\]/g)).toHaveLength(3)
    const rules = policy.replaceAll(/^#.*\n/gm, '')
    expect(rules).not.toContain('sudo')
    expect(policy).toContain('\n# path "auth/token/accessors" { capabilities = ["list", "sudo"] }\n')
    expect(policy).not.toContain('secret/data')
  })

  test('without a dynamic secret there is nothing about leases', () => {
    const text = JSON.stringify(vaultSetupSteps(jwt, [{ kind: 'token', policies: ['a'] }], issuer))
    expect(text).not.toContain('sys/leases')
  })
})

describe('as text', () => {
  test('commands that a shell takes, with the database statements that end sessions', () => {
    const text = setupText('vault', jwt, allRecipes, issuer)
    expect(text).toContain("vault policy write hallpass - <<'HCL'")
    expect(text).toContain('vault auth enable -path=jwt jwt')
    expect(text).toContain('pg_terminate_backend')
    expect(text).toContain('database/roles/orders-reader')
    expect(text).toContain('Yours to write, since the grants hand out tokens with them: read-orders')
  })

  test('a placeholder shows as what to fill in', () => {
    const open = { ...secretRecipe, path: `database/creds/\${resource.vault_role}-reader` }
    expect(setupText('vault', jwt, [open], issuer)).toContain('path "database/creds/<resource.vault_role>-reader"')
  })

  test.each([
    [
      { method: 'approle', role_id: 'r', secret_id: 'do-not-print' },
      'vault write -f auth/approle/role/hallpass/secret-id',
    ],
    [{ method: 'kubernetes', role: 'hp' }, 'bound_service_account_names=hallpass'],
    [{ method: 'token', token_file: '/run/vault-token' }, '/run/vault-token'],
  ])('for %j', (auth, words) => {
    const text = setupText('vault', section(auth), allRecipes, issuer)
    expect(text).toContain(words)
    expect(text).not.toContain('do-not-print')
    expect(text).not.toContain('jwks_url')
  })
})
