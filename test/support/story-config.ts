// What the brokers of the story tests are configured with: few grants, one of each kind, and two that exclude each other.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type LoadedConfig, loadConfig } from '../../src/config/load.js'
import type { Settings } from '../../src/config/schema.js'
import type { Principal } from '../../src/identity/principal.js'

export const storyIssuer = 'http://127.0.0.1:8799'

// Every provider is written as `jwt` here and replaced by the test's own: a configuration knows no test provider.
const config = (limits: string) => `
issuer: ${storyIssuer}
listen: 127.0.0.1:8799
redis: { url: env:TEST_REDIS, prefix: unused }
keys: { directory: ./keys, sealing: env:TEST_SEALING }
audit: { directory: ./audit, instance: test }
policies: ./policies
issuers:
  ci: { type: oidc, issuer: "http://127.0.0.1:9", audience: "${storyIssuer}" }
  staff: { type: oidc, use: operator, issuer: "http://127.0.0.1:9/staff", audience: staff }
resources:
  "repo:acme/web": { sensitivity: low }
  "repo:acme/{name}": { sensitivity: medium }
  "database:orders": { sensitivity: high }
grants:
  token.read: { access: read, resource: repo, provider: tokens, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://api.test", verified_by: introspection } }
  offline.read: { access: read, resource: repo, provider: tokens, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://api.test", verified_by: offline } }
  repo.read: { access: read, resource: repo, provider: far, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://api.test", verified_by: introspection } }
  repo.write: { access: write, resource: repo, provider: far, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://api.test", verified_by: introspection } }
  copy.read: { access: read, resource: repo, provider: copies, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://api.test", verified_by: introspection } }
  fixed.read: { access: read, resource: repo, provider: fixed, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://api.test", verified_by: introspection } }
  deploy.run: { access: deploy, resource: repo, provider: tokens, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://api.test", verified_by: introspection } }
  database.migrate: { access: write, resource: database, provider: tokens, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://api.test", verified_by: introspection } }
  account.delete: { access: admin, resource: repo, provider: tokens, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://api.test", verified_by: introspection } }
providers: { far: { type: jwt }, tokens: { type: jwt }, copies: { type: jwt }, fixed: { type: jwt } }
limits: ${limits || '{ account: { requests_per_minute: 100000 } }'}
`

const policies = `
@id("ci-may")
permit (principal in Issuer::"ci", action in [Action::"read", Action::"write", Action::"deploy", Action::"admin"], resource);

@id("no-escalation-to-admin")
forbid (principal, action == Action::"account.delete", resource);

// Whoever deploys holds nothing of the database's, and the reverse; nobody holds two deployments.
@id("one-at-a-time")
forbid (principal, action == Action::"deploy.run", resource)
when { context.account.holding.containsAny(["deploy.run", "database.migrate"]) };

@id("one-at-a-time-too")
forbid (principal, action == Action::"database.migrate", resource)
when { context.account.holding.containsAny(["deploy.run", "database.migrate"]) };

@id("not-after-granted")
forbid (principal, action == Action::"repo.write", resource == Repo::"repo:acme/guarded")
when { context.session.granted.contains("repo.read") };
`

export async function loadStoryRules(folder: string, limits: string): Promise<LoadedConfig> {
  const file = join(folder, 'hallpass.yaml')
  await mkdir(join(folder, 'policies'))
  await writeFile(file, config(limits))
  await writeFile(join(folder, 'policies', 'main.cedar'), policies)
  return await loadConfig(file, storyEnvironment)
}

export const storyEnvironment = {
  TEST_REDIS: 'redis://127.0.0.1:1',
  TEST_SEALING: Buffer.alloc(32, 7).toString('base64'),
}

/** What an operator changes, by text. */
export interface RulesEdit {
  readonly config?: (text: string) => string
  readonly policies?: (text: string) => string
}

/** Writes what an operator changes, and loads it. */
export async function editStoryRules(folder: string, edit: RulesEdit): Promise<Settings> {
  const rewrite = async (file: string, by: (text: string) => string = (text) => text) =>
    await writeFile(file, by(await readFile(file, 'utf8')))
  await rewrite(join(folder, 'hallpass.yaml'), edit.config)
  await rewrite(join(folder, 'policies', 'main.cedar'), edit.policies)
  return (await loadConfig(join(folder, 'hallpass.yaml'), storyEnvironment)).settings
}

/** A verified workload of the issuer `ci`; each name is an account of its own. */
export function aWorkload(name: string, over: Partial<Principal> = {}): Principal {
  return {
    id: `ci:${name}`,
    issuer: 'ci',
    subject: name,
    use: 'workload',
    attributes: {},
    account: `ci:${name}`,
    instance: null,
    sessionSeconds: 28_800,
    binding: 'none',
    person: null,
    tokenSha256: '0'.repeat(64),
    tokenExpiresAt: 2_000_000_000,
    ...over,
  }
}

export const anOperator = (): Principal => ({
  ...aWorkload('olga'),
  id: 'staff:olga',
  issuer: 'staff',
  use: 'operator',
})
