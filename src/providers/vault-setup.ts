// What the far side needs, and no more: printed by `hallpass provider setup`, and carried out word for word by the tests.
import type { JsonObject } from './provider.js'
import type { VaultConfig } from './vault-config.js'

/** One write to Vault's HTTP API (`POST /v1/<path>`). */
export interface SetupStep {
  why: string
  path: string
  body: JsonObject
}

const unfilled = /\$\{([A-Za-z0-9_.]{1,128})\}/g

interface Needs {
  /** Policy → paths it must read; none for what a `token` recipe names: those policies are the operator's own. */
  policies: Map<string, Set<string>>
  secretPaths: Set<string>
}

/** Ends the role's open sessions too: Vault's own statements leave them connected. */
export const revokePostgresRole = [
  `DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname='{{name}}') THEN ALTER ROLE "{{name}}" NOLOGIN;`,
  `PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename='{{name}}';`,
  `DROP OWNED BY "{{name}}"; DROP ROLE "{{name}}"; END IF; END $$;`,
].join('\n')

/** The set-up in order. Recipes may be filled or not; a placeholder left in one is shown as `<name>`. Pure. */
export function vaultSetupSteps(
  config: VaultConfig,
  recipes: readonly JsonObject[],
  federationIssuer: string,
): SetupStep[] {
  const needs = collectNeeds(recipes)
  const steps: SetupStep[] = [...needs.policies].flatMap(([name, paths]) =>
    paths.size === 0 ? [] : [policyStep(name, `lets a lease read its secret`, readPolicy(paths))],
  )
  steps.push({
    why: 'the role that the one token of each lease comes from',
    path: `auth/token/roles/${config.token_role}`,
    body: {
      allowed_policies: [...needs.policies.keys()],
      orphan: true,
      renewable: false,
      token_type: 'service',
      token_no_default_policy: true,
      token_explicit_max_ttl: '24h',
    },
  })
  steps.push(policyStep('hallpass', 'all that Hallpass itself may do', ownPolicy(config.token_role, needs.secretPaths)))
  return [...steps, ...loginSteps(config, federationIssuer)]
}

/** The same as commands for a shell with `vault` or `bao`, with what Hallpass cannot know as comments. */
export function setupText(
  name: string,
  config: VaultConfig,
  recipes: readonly JsonObject[],
  federationIssuer: string,
): string {
  const lines = [
    `# What the Vault (or OpenBao) at ${config.address} needs for the provider ${name}.`,
    '# Run it with VAULT_ADDR and the token of somebody who may write policies, roles and auth methods.',
  ]
  if (config.namespace) lines.push(`# First: export VAULT_NAMESPACE=${config.namespace}`)
  for (const step of vaultSetupSteps(config, recipes, federationIssuer)) {
    lines.push('', `# ${step.why}`, commandOf(step))
  }
  return [...lines, ...loginNotes(config), ...policyNotes(recipes), ...databaseNotes(recipes), ''].join('\n')
}

function collectNeeds(recipes: readonly JsonObject[]): Needs {
  const needs: Needs = { policies: new Map(), secretPaths: new Set() }
  for (const recipe of recipes) {
    const path = typeof recipe.path === 'string' ? readable(recipe.path) : null
    const names = Array.isArray(recipe.policies) ? recipe.policies : []
    for (const name of names) {
      const paths = needs.policies.get(readable(String(name))) ?? new Set()
      if (path !== null) paths.add(path)
      needs.policies.set(readable(String(name)), paths)
    }
    if (recipe.kind === 'secret' && path !== null) needs.secretPaths.add(path)
  }
  return needs
}

function readable(text: string): string {
  return text.replace(unfilled, '<$1>')
}

function policyStep(name: string, why: string, policy: string): SetupStep {
  return { why, path: `sys/policies/acl/${name}`, body: { policy } }
}

function readPolicy(paths: ReadonlySet<string>): string {
  return [...paths].map((path) => `path "${path}" { capabilities = ["read"] }`).join('\n')
}

// A comment: the rest works without, and whoever can both list and revoke by accessor can end everybody's tokens.
const orphansRule = `# Optional: lets Hallpass find and end tokens that carry its mark and that its ledger does not know (a ledger restored
# from a backup, a mint whose answer was lost). It is a wide right (sudo): who has it and the two rules above can look at
# and end every token here, and each minute Vault reads all its accessors. Without it such tokens end with their lifetime.
# path "auth/token/accessors" { capabilities = ["list", "sudo"] }`

function ownPolicy(tokenRole: string, secretPaths: ReadonlySet<string>): string {
  const rules = [
    `path "auth/token/create/${tokenRole}" {
  capabilities = ["update"]
  allowed_parameters = { "policies" = [], "ttl" = [], "explicit_max_ttl" = [], "num_uses" = [], "display_name" = [], "meta" = [] }
  required_parameters = ["ttl", "explicit_max_ttl"]
}`,
    'path "auth/token/lookup-accessor" { capabilities = ["update"] }',
    'path "auth/token/revoke-accessor" { capabilities = ["update"] }',
    'path "auth/token/lookup-self" { capabilities = ["read"] }',
    orphansRule,
  ]
  if (secretPaths.size === 0) return rules.join('\n')
  const ids = [...secretPaths].map((path) => `"${path}/*"`).join(', ')
  for (const [call, extra] of [
    ['lookup', ''],
    ['renew', ', "increment" = []'],
    ['revoke', ', "sync" = []'],
  ]) {
    rules.push(`path "sys/leases/${call}" {
  capabilities = ["update"]
  allowed_parameters = { "lease_id" = [${ids}]${extra} }
}`)
  }
  return rules.join('\n')
}

const ownToken = {
  token_policies: ['hallpass'],
  token_no_default_policy: true,
  token_type: 'service',
  token_ttl: '1h',
  token_max_ttl: '1h',
}

function loginSteps({ auth, address }: VaultConfig, federationIssuer: string): SetupStep[] {
  if (auth.method === 'token') return []
  const enable = { why: `the ${auth.method} login`, path: `sys/auth/${auth.mount}`, body: { type: auth.method } }
  if (auth.method === 'approle') {
    const path = `auth/${auth.mount}/role/hallpass`
    return [enable, { why: 'who Hallpass is there', path, body: ownToken }]
  }
  const role = `auth/${auth.mount}/role/${auth.role}`
  if (auth.method === 'kubernetes') {
    const bound = { bound_service_account_names: ['hallpass'], bound_service_account_namespaces: ['<namespace>'] }
    return [enable, { why: 'who Hallpass is there', path: role, body: { ...bound, ...ownToken } }]
  }
  const leeways = { clock_skew_leeway: 5, expiration_leeway: 5, not_before_leeway: 5 }
  const bound = { role_type: 'jwt', user_claim: 'sub', bound_subject: 'hallpass' }
  return [
    enable,
    {
      why: 'the keys that Hallpass signs its own identity with',
      path: `auth/${auth.mount}/config`,
      body: {
        jwks_url: `${federationIssuer}/.well-known/jwks.json`,
        bound_issuer: federationIssuer,
        jwt_supported_algs: ['ES256'],
      },
    },
    {
      why: 'who Hallpass is there; the audience is compared as text, a trailing slash included',
      path: role,
      body: { ...bound, bound_audiences: [auth.audience ?? address], ...leeways, ...ownToken },
    },
  ]
}

function loginNotes({ auth }: VaultConfig): string[] {
  if (auth.method === 'jwt') {
    return [
      '',
      '# After `hallpass keys rotate` retires a leaked key, write auth/*/config again: Vault keeps keys without end.',
    ]
  }
  if (auth.method === 'approle') {
    const role = `auth/${auth.mount}/role/hallpass`
    return [
      '',
      `# Then give Hallpass its role_id (vault read ${role}/role-id) and secret_id (vault write -f ${role}/secret-id).`,
    ]
  }
  if (auth.method === 'token') {
    return [
      '',
      `# Keep a token with the policy hallpass in ${auth.token_file}, renewed by a Vault agent; it is read again all the time:`,
      '# vault token create -policy=hallpass -no-default-policy -orphan -period=1h',
    ]
  }
  return []
}

function policyNotes(recipes: readonly JsonObject[]): string[] {
  const own = [...collectNeeds(recipes).policies].filter(([, paths]) => paths.size === 0).map(([name]) => name)
  return own.length === 0 ? [] : ['', `# Yours to write, since the grants hand out tokens with them: ${own.join(', ')}`]
}

function databaseNotes(recipes: readonly JsonObject[]): string[] {
  const roles = [...collectNeeds(recipes).secretPaths].filter((path) => path.includes('/creds/'))
  if (roles.length === 0) return []
  return [
    '',
    '# Database roles: a short default, so that what nobody noted ends by itself; Hallpass sets the real lifetime.',
    '# On PostgreSQL end open sessions too (its user needs pg_signal_backend):',
    "cat > revoke.sql <<'SQL'",
    revokePostgresRole,
    'SQL',
    ...roles.map((path) => {
      const role = path.replace('/creds/', '/roles/')
      return `# vault write ${role} db_name=… creation_statements=@create.sql default_ttl=60s max_ttl=24h revocation_statements=@revoke.sql`
    }),
  ]
}

function commandOf({ path, body }: SetupStep): string {
  if (path.startsWith('sys/policies/acl/')) {
    return `vault policy write ${quoted(path.slice(17))} - <<'HCL'\n${String(body.policy)}\nHCL`
  }
  if (path.startsWith('sys/auth/')) return `vault auth enable -path=${path.slice(9)} ${String(body.type)}`
  const settings = Object.entries(body).map(([name, value]) => quoted(`${name}=${String(value)}`))
  return [`vault write ${path}`, ...settings].join(' \\\n  ')
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return /^[A-Za-z0-9_./:=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
