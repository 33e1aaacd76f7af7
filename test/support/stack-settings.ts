// What a stack runs with unless its test changes it: three issuers, five grants of the jwt provider, one policy file.

export interface StackSettings {
  issuer: string
  listen: unknown
  redis: Record<string, unknown>
  keys: Record<string, unknown>
  audit: Record<string, unknown>
  policies: string
  issuers: Record<string, Record<string, unknown>>
  groups: Record<string, unknown>
  resources: Record<string, Record<string, unknown>>
  grants: Record<string, Record<string, unknown>>
  providers: Record<string, Record<string, unknown>>
  limits?: Record<string, unknown>
  approvals?: Record<string, unknown>
}

export interface StackAddresses {
  readonly url: string
  readonly redisUrl: string | readonly string[]
  readonly prefix: string
  readonly ci: string
  readonly staff: string
}

/** The whole configuration as an object; paths are relative to its file. */
export function stackSettings({ url, redisUrl, prefix, ci, staff }: StackAddresses): StackSettings {
  return {
    issuer: url,
    listen: url.replace('http://', ''),
    redis: { url: redisUrl, prefix },
    keys: { directory: './keys', sealing: 'file:sealing.key' },
    audit: { directory: './audit', instance: 'test' },
    policies: './policies',
    issuers: {
      ci: { type: 'oidc', preset: 'github-actions', issuer: ci, algorithms: ['ES256'] },
      prod: {
        type: 'spiffe',
        trust_domain: 'prod.acme.example',
        bundle: { file: 'prod.bundle.json' },
        paths: ['/ns/{namespace}/sa/{service_account}', '/agent/{owner}/{agent}'],
      },
      staff: {
        type: 'oidc',
        use: 'operator',
        issuer: staff,
        audience: 'hallpass-operators',
        algorithms: ['ES256'],
        person: 'email',
        attributes: { roles: { claim: 'groups', type: 'set' }, email: { claim: 'email', type: 'string' } },
      },
    },
    groups: { 'on-call': [{ issuer: 'staff', where: { roles: 'sre' } }] },
    resources: {
      'repo:acme/web': { sensitivity: 'low', environment: 'staging' },
      'repo:acme/{name}': { sensitivity: 'medium', environment: 'staging' },
      'database:orders': { sensitivity: 'high', environment: 'production' },
    },
    grants: stackGrants,
    providers: { tokens: { type: 'jwt' } },
    // A test that asks until something has changed asks twenty times a second where the machine is fast: a rate of a minute would
    // decide it. What rates do, the tests of rates show with their own.
    limits: { account: { requests_per_minute: 100_000 } },
  }
}

const introspected = (audience: string, ...scope: string[]) => ({ audience, scope, verified_by: 'introspection' })

/** report.read, offline.read, pull_request.open, database.migrate and deploy.run: every class, one of them `natural_expiry`. */
export const stackGrants: StackSettings['grants'] = {
  'report.read': {
    access: 'read',
    resource: 'repo',
    provider: 'tokens',
    ttl: { default: '5m', max: '30m' },
    recipe: introspected('https://reports.acme.example', 'read'),
  },
  'offline.read': {
    access: 'read',
    resource: 'repo',
    provider: 'tokens',
    ttl: { default: '5m', max: '30m' },
    recipe: { audience: 'https://offline.acme.example', scope: ['read'], verified_by: 'offline' },
  },
  'pull_request.open': {
    access: 'write',
    resource: 'repo',
    provider: 'tokens',
    ttl: { default: '5m', max: '30m' },
    context: { branch: { type: 'string', pattern: '[a-z0-9-]{1,40}', optional: true } },
    recipe: introspected('https://git.acme.example', 'write'),
  },
  'database.migrate': {
    access: 'write',
    resource: 'database',
    provider: 'tokens',
    ttl: { default: '5m', max: '15m' },
    context: { change_type: { type: 'string', one_of: ['schema', 'data'] } },
    recipe: introspected('https://migrate.acme.example/${declared.change_type}', 'migrate'),
  },
  'deploy.run': {
    access: 'deploy',
    resource: 'repo',
    provider: 'tokens',
    ttl: { default: '2m', max: '10m' },
    recipe: introspected('https://deploy.acme.example', 'deploy'),
  },
}

export const stackPolicies = `
@id("workloads-read")
permit (principal in Issuer::"ci", action in Action::"read", resource is Repo);

@id("agents-read")
permit (principal in Issuer::"prod", action in Action::"read", resource is Repo);

@id("ci-writes")
permit (principal in Issuer::"ci", action in Action::"write", resource);

@id("ci-deploys")
permit (principal in Issuer::"ci", action == Action::"deploy.run", resource is Repo)
when { resource has environment && resource.environment == "staging" };

@id("no-deploy-after-database-writes")
forbid (principal, action in Action::"deploy", resource)
when { context.session.granted.contains("database.migrate") };

@id("on-call-operates")
permit (principal in Group::"on-call", action in [Action::"operate.view", Action::"operate.revoke", Action::"operate.audit"], resource);
`

/** The claims of one GitHub Actions run on the main branch. */
export const ciClaims = (audience: string) => ({
  aud: audience,
  sub: 'repo:acme/web:ref:refs/heads/main',
  repository: 'acme/web',
  repository_id: '1296269',
  repository_owner_id: '65',
  ref: 'refs/heads/main',
  ref_type: 'branch',
  event_name: 'push',
  run_id: '100',
  run_attempt: '1',
})
