// What `hallpass provider setup` prints for AWS: exactly what the far side needs, as documents to paste. Pure text.
import { leaseSubject, stsAudience } from './aws-sts-assume.js'
import {
  type AwsStsConfig,
  type DenyPolicyConfig,
  denyPolicyOf,
  parseRoleArn,
  type RoleName,
} from './aws-sts-config.js'
import { denyWriterRole, denyWriterSubject } from './aws-sts-iam.js'
import type { JsonObject } from './provider.js'

export interface GrantOfProvider {
  readonly action: string
  readonly recipe: JsonObject
}

/** `grants`: those of the catalogue that this provider mints. Roles with placeholders are shown as they are written. */
export function setupText(
  provider: string,
  config: AwsStsConfig,
  federationIssuer: string,
  grants: readonly GrantOfProvider[],
): string {
  const settings = denyPolicyOf(config)
  const sections = config.auth === 'web_identity' ? [openIdProvider(federationIssuer)] : [defaultChain(grants)]
  for (const [arn, actions] of actionsByRole(grants)) {
    const subjects = actions.map((action) => leaseSubject(provider, action))
    sections.push(leaseRole(arn, config, federationIssuer, subjects))
  }
  if (settings) sections.push(...denyWriters(provider, config, settings, federationIssuer, grants))
  else sections.push('Early revocation is off: every credential lives until its deadline (class natural_expiry).')
  return `${sections.join('\n\n')}\n`
}

function openIdProvider(federationIssuer: string): string {
  return [
    `# 1. In every account: Hallpass as OpenID Connect provider (no AWS key is held)`,
    `aws iam create-open-id-connect-provider --url ${federationIssuer} --client-id-list ${stsAudience}`,
    `# AWS fetches ${federationIssuer}/.well-known/openid-configuration and the keys it names: both must be reachable by https.`,
  ].join('\n')
}

function defaultChain(grants: readonly GrantOfProvider[]): string {
  const policy = {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Action: ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'],
        Resource: [...actionsByRole(grants).keys()].map((arn) => arn.replace(/\$\{[^}]*\}/g, '*')),
      },
    ],
  }
  return [
    '# 1. The identity that Hallpass runs as (instance profile, pod identity, ...) needs this and nothing else:',
    JSON.stringify(policy, null, 2),
    '# It must be no session that has a source identity already: AWS never lets one be changed.',
  ].join('\n')
}

function leaseRole(arn: string, config: AwsStsConfig, federationIssuer: string, subjects: readonly string[]): string {
  const trust = trustPolicy(arn, config, federationIssuer, subjects, ['sts:TagSession', 'sts:SetSourceIdentity'])
  return [
    `# Role ${arn}: its trust policy`,
    JSON.stringify(trust, null, 2),
    '# Its own policies bound every grant that uses it; each session gets only what its session policy names of them.',
    '# Set its maximum session duration to the longest ttl.max of these grants (max_session in the recipe beyond 1h).',
  ].join('\n')
}

function denyWriters(
  provider: string,
  config: AwsStsConfig,
  settings: DenyPolicyConfig,
  federationIssuer: string,
  grants: readonly GrantOfProvider[],
): string[] {
  const byWriter = new Map<string, string[]>()
  for (const arn of actionsByRole(grants).keys()) {
    const role = accountOf(arn)
    const writer = (role && denyWriterRole(config, settings, role)?.arn) ?? 'the identity that Hallpass runs as'
    byWriter.set(writer, [...(byWriter.get(writer) ?? []), arn.replace(/\$\{[^}]*\}/g, '*')])
  }
  return [...byWriter].map(([writer, roles]) => {
    const lines = [`# Early revocation: ${writer} writes the inline policy "${settings.policy_name}" of these roles`]
    if (parseRoleArn(writer)) {
      const trust = trustPolicy(writer, config, federationIssuer, [denyWriterSubject(provider)], [])
      lines.push('# Its trust policy', JSON.stringify(trust, null, 2))
    }
    const actions = ['iam:GetRolePolicy', 'iam:PutRolePolicy', 'iam:ListRolePolicies']
    const permissions = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: actions, Resource: roles }] }
    lines.push('# Its permissions', JSON.stringify(permissions, null, 2))
    lines.push('# Whoever may write these roles may also widen them: keep this identity to Hallpass alone.')
    return lines.join('\n')
  })
}

function trustPolicy(
  arn: string,
  config: AwsStsConfig,
  federationIssuer: string,
  subjects: readonly string[],
  extraActions: readonly string[],
) {
  const role = accountOf(arn)
  const statement =
    config.auth === 'web_identity'
      ? webIdentityStatement(role, federationIssuer, subjects)
      : { Principal: { AWS: 'ARN-OF-THE-IDENTITY-HALLPASS-RUNS-AS' }, assume: 'sts:AssumeRole', Condition: undefined }
  const { Principal, assume, Condition } = statement
  return {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal, Action: [assume, ...extraActions], Condition }],
  }
}

function webIdentityStatement(role: RoleName | undefined, federationIssuer: string, subjects: readonly string[]) {
  // IAM names the provider and its condition keys by the issuer's URL without the scheme.
  const id = federationIssuer.replace(/^https?:\/\//, '')
  const account = `arn:${role?.partition ?? 'aws'}:iam::${role?.account ?? 'ACCOUNT'}`
  return {
    Principal: { Federated: `${account}:oidc-provider/${id}` },
    assume: 'sts:AssumeRoleWithWebIdentity',
    Condition: { StringEquals: { [`${id}:aud`]: stsAudience, [`${id}:sub`]: subjects } },
  }
}

function actionsByRole(grants: readonly GrantOfProvider[]): Map<string, string[]> {
  const roles = new Map<string, string[]>()
  for (const { action, recipe } of grants) {
    if (typeof recipe.role === 'string') roles.set(recipe.role, [...(roles.get(recipe.role) ?? []), action])
  }
  return roles
}

/** Partition and account of a role whose name may still hold placeholders. */
function accountOf(arn: string): RoleName | undefined {
  return parseRoleArn(arn.replace(/\$\{[^}]*\}/g, 'x'))
}
