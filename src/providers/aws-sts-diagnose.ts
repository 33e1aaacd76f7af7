// What `doctor` asks of AWS: is it reachable, does the login work, can each role be taken and its deny policy written.
import { GetCallerIdentityCommand, type STSClient } from '@aws-sdk/client-sts'
import { isLoopbackHost } from '../core/settings.js'
import { type AssumeSession, leaseSubject } from './aws-sts-assume.js'
import { callAws, createStsClient } from './aws-sts-calls.js'
import { type AwsStsConfig, denyPolicyOf, type RoleName } from './aws-sts-config.js'
import type { DenyWriter } from './aws-sts-deny-writer.js'
import { denyWriterRole, type RolePolicies } from './aws-sts-iam.js'
import { ProviderError } from './provider.js'

export interface KnownRole {
  readonly role: RoleName
  readonly action: string
}

interface RoleChecks {
  readonly provider: string
  readonly config: AwsStsConfig
  readonly assume: AssumeSession
  readonly policies: RolePolicies | null
  readonly writer: DenyWriter | null
}

/** Whether STS answers and knows who we are; each problem with what to do. */
export async function diagnoseIdentity(
  config: AwsStsConfig,
  sts: STSClient,
  federationIssuer: string,
): Promise<string[]> {
  const timeoutMs = config.timeout * 1000
  if (config.auth === 'default_chain') {
    const error = await failure(
      callAws('STS GetCallerIdentity', timeoutMs, (abortSignal) =>
        sts.send(new GetCallerIdentityCommand({}), { abortSignal }),
      ),
    )
    return error
      ? [`${error.message}. Give this process an AWS identity (role, profile or variables) and a way to STS`]
      : []
  }
  const host = URL.canParse(federationIssuer) ? new URL(federationIssuer).hostname : ''
  if (config.endpoint === undefined && isLoopbackHost(host)) {
    return [`AWS cannot fetch the keys of ${federationIssuer}: set \`issuer\` to an address that is reachable by https`]
  }
  return diagnoseReachability(config)
}

/** Without an AWS key of its own, any answer at all shows that STS is there: these keys are made up. */
async function diagnoseReachability(config: AwsStsConfig): Promise<string[]> {
  const stranger = createStsClient(config, async () => ({
    accessKeyId: 'AKIAHALLPASSDOCTOR00',
    secretAccessKey: 'none',
    sessionToken: 'none',
    expiration: new Date(8.64e15),
  }))
  try {
    const call = callAws('STS GetCallerIdentity', config.timeout * 1000, (abortSignal) =>
      stranger.send(new GetCallerIdentityCommand({}), { abortSignal }),
    )
    const error = await failure(call)
    return error?.kind === 'unavailable'
      ? [`${error.message}. Check the way to STS: region, endpoint, proxy, firewall`]
      : []
  } finally {
    stranger.destroy()
  }
}

/** Whether one role can be taken for its grant and, with early revocation, its deny policy be written. */
export async function diagnoseRole({ role, action }: KnownRole, checks: RoleChecks): Promise<string[]> {
  const problems: string[] = []
  const taken = await failure(
    checks.assume({
      role,
      session: 'hallpass-doctor',
      sourceIdentity: true,
      policy: '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}',
      tags: { hallpass_task: 'doctor' },
      durationSeconds: 900,
      subject: leaseSubject(checks.provider, action),
      timeoutMs: checks.config.timeout * 1000,
    }),
  )
  const advice = `\`hallpass provider setup ${checks.provider}\` prints what the far side needs`
  if (taken) problems.push(`${action}: ${taken.message}. ${advice}`)
  const settings = denyPolicyOf(checks.config)
  if (!settings || !checks.writer || !checks.policies) return problems
  const writer = denyWriterRole(checks.config, settings, role)?.arn ?? 'the identity of the default chain'
  const written = await failure(checks.writer.rewrite(role))
  if (written) {
    problems.push(
      `${written.message}. Early revocation needs iam:GetRolePolicy and iam:PutRolePolicy for ${writer}; ${advice}`,
    )
    return problems
  }
  const others = await checks.policies.measureOthers(role).catch(() => null)
  if (others === null) {
    problems.push(`the inline policies of ${role.name} cannot be listed: allow iam:ListRolePolicies to ${writer}`)
  } else if (others > settings.other_policies) {
    problems.push(
      `${role.name} has ${others} characters of other inline policies: set early_revocation.other_policies of ${checks.provider} to at least that, or move them to managed policies`,
    )
  }
  return problems
}

async function failure(call: Promise<unknown>): Promise<ProviderError | null> {
  try {
    await call
    return null
  } catch (error) {
    return error instanceof ProviderError ? error : new ProviderError('permanent', 'failed for a reason not foreseen')
  }
}
