// What the programs of a soak are configured with: a jwt, a vault and an aws_sts provider, short lives, limits out of the way.

export interface Addresses {
  /** What all brokers sign as: the line before them. */
  readonly issuer: string
  readonly redis: string
  readonly prefix: string
  readonly ci: string
  readonly staff: string
  readonly vault: string
  readonly sts: string
}

export const awsAccount = '123456789012'
/** Several: the room that a role has for its denials is bounded. */
export const awsRoles = ['soak_a', 'soak_b', 'soak_c', 'soak_d'] as const
export const vaultAudience = 'vault.soak'

const grant = (resource: string, provider: string, ttl: object, recipe: object) => ({
  access: 'read',
  resource,
  provider,
  ttl,
  recipe,
})
const short = { default: '5s', max: '10m' }

const awsGrants = Object.fromEntries(
  awsRoles.map((role) => [
    `${role}.read`,
    grant(
      'bucket',
      'aws',
      { default: '60s', max: '15m' },
      {
        role: `arn:aws:iam::${awsAccount}:role/${role}`,
        session_policy: {
          Version: '2012-10-17',
          Statement: [{ Effect: 'Allow', Action: ['s3:GetObject'], Resource: 'arn:aws:s3:::acme-reports/*' }],
        },
      },
    ),
  ]),
)

export const vaultRecipes = {
  token: { kind: 'token', policies: ['read-orders'] },
  secret: { kind: 'secret', path: 'database/creds/orders-reader', policies: ['hp-orders-reader'] },
}

const grants = {
  'report.read': grant('repo', 'tokens', short, {
    audience: 'https://reports.acme.example',
    scope: ['read'],
    verified_by: 'introspection',
  }),
  'offline.read': grant('repo', 'tokens', short, {
    audience: 'https://offline.acme.example',
    scope: ['read'],
    verified_by: 'offline',
  }),
  'config.read': grant('database', 'vault', short, vaultRecipes.token),
  'database.query': grant('database', 'vault', short, vaultRecipes.secret),
  ...awsGrants,
}

export const providerSections = ({ vault, sts }: Pick<Addresses, 'vault' | 'sts'>) => ({
  tokens: { type: 'jwt' },
  vault: {
    type: 'vault',
    address: vault,
    auth: { method: 'jwt', mount: 'jwt', role: 'hallpass', audience: vaultAudience },
    token_role: 'hallpass-lease',
    timeout: '1s',
  },
  aws: {
    type: 'aws_sts',
    region: 'eu-west-1',
    auth: 'web_identity',
    endpoint: sts,
    timeout: '1s',
    early_revocation: { method: 'deny_policy', batch: '0s', propagation: '1s', min_remaining: '0s' },
  },
})

/** One program's configuration; `listen` and `instance` are its own. JSON is YAML. */
export function configuration(on: Addresses, listen: string, instance: string): string {
  return JSON.stringify({
    issuer: on.issuer,
    listen,
    redis: { url: on.redis, prefix: on.prefix },
    keys: { directory: './keys', sealing: 'file:sealing.key' },
    audit: { directory: './audit', instance },
    policies: './policies',
    issuers: {
      ci: { type: 'oidc', preset: 'github-actions', issuer: on.ci, audience: on.issuer, algorithms: ['ES256'] },
      staff: {
        type: 'oidc',
        use: 'operator',
        issuer: on.staff,
        audience: 'hallpass-operators',
        algorithms: ['ES256'],
        person: 'email',
        attributes: { roles: { claim: 'groups', type: 'set' }, email: { claim: 'email', type: 'string' } },
      },
    },
    groups: { 'on-call': [{ issuer: 'staff', where: { roles: 'sre' } }] },
    resources: {
      'repo:acme/web': { sensitivity: 'low' },
      'database:orders': { sensitivity: 'high' },
      'bucket:reports': { sensitivity: 'medium' },
    },
    grants,
    providers: providerSections(on),
    limits: {
      task: { active_leases: 1000 },
      account: { active_leases: 10_000, open_tasks: 100_000, requests_per_minute: 1_000_000 },
      provider: { active_leases: 100_000 },
    },
  })
}

export const policies = `
@id("workloads-read")
permit (principal in Issuer::"ci", action in Action::"read", resource);

@id("on-call-operates")
permit (principal in Group::"on-call", action in [Action::"operate.view", Action::"operate.revoke", Action::"operate.lock", Action::"operate.audit"], resource);
`
