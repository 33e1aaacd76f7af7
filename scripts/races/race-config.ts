// What the brokers of the races are configured with. The rules on deployments and database writes are those of the example
// policies, word for word.
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../src/core/clock.js'
import { createMissingKeys } from '../../src/signing/key-rotation.js'

export const issuerName = 'ci'

const policies = `@id("workloads-may")
permit (principal in Issuer::"${issuerName}", action in [Action::"read", Action::"write", Action::"deploy", Action::"admin"], resource);

@id("no-deploy-after-database-writes")
forbid (principal, action in Action::"deploy", resource)
when { context.session.granted.contains("database.migrate") };

@id("no-database-writes-after-deploy")
forbid (principal, action == Action::"database.migrate", resource)
when { context.session.granted_access.contains("deploy") };

@id("one-key-at-a-time")
forbid (principal, action in Action::"admin", resource)
when { context.account.holding.containsAny(["key.rotate", "key.export"]) };

@id("three-reports-an-account")
forbid (principal, action == Action::"report.read", resource)
when { context.account.active_leases >= 3 };

@id("two-logs-a-session")
forbid (principal, action == Action::"log.read", resource)
when { !(context.session.active_leases < 2) };

@id("one-trace-a-task")
forbid (principal, action == Action::"trace.read", resource)
when { 1 <= context.task.active_leases };
`

const grant = (name: string, access: string, resource: string) =>
  `  ${name}: { access: ${access}, resource: ${resource}, provider: tokens, ttl: { default: 10m, max: 1h }, recipe: { audience: "https://api.races.example", verified_by: introspection } }`

const configuration = (redisUrl: string, prefix: string) => `
issuer: http://127.0.0.1:8798
listen: 127.0.0.1:8798
redis: { url: ${redisUrl}, prefix: ${prefix} }
keys: { directory: ./keys, sealing: file:sealing.key }
audit: { directory: ./audit, instance: "env:RACES_INSTANCE" }
policies: ./policies
issuers:
  ${issuerName}: { type: oidc, issuer: "http://127.0.0.1:9", audience: "http://127.0.0.1:8798" }
resources:
  "repo:acme/{name}": {}
  "database:{name}": {}
grants:
${grant('deploy.run', 'deploy', 'repo')}
${grant('database.migrate', 'write', 'database')}
${grant('key.rotate', 'admin', 'repo')}
${grant('key.export', 'admin', 'repo')}
${grant('report.read', 'read', 'repo')}
${grant('log.read', 'read', 'repo')}
${grant('trace.read', 'read', 'repo')}
providers: { tokens: { type: jwt } }
limits:
  task: { active_leases: 10000000 }
  account: { active_leases: 10000000, requests_per_minute: 10000000 }
  provider: { active_leases: 10000000 }
`

/** Lays configuration, policies and keys in `directory`; the path of the configuration. */
export async function layRaceConfig(directory: string, redisUrl: string): Promise<string> {
  mkdirSync(join(directory, 'policies'), { recursive: true, mode: 0o700 })
  writeFileSync(join(directory, 'sealing.key'), randomBytes(32).toString('base64'), { mode: 0o600 })
  writeFileSync(join(directory, 'policies', 'races.cedar'), policies)
  const file = join(directory, 'hallpass.yaml')
  writeFileSync(file, configuration(redisUrl, `races-${randomBytes(4).toString('hex')}`))
  await createMissingKeys(join(directory, 'keys'), systemClock)
  return file
}
