// Taking a role, by the two ways there are: AssumeRoleWithWebIdentity with a token of ours (no AWS key is held), or
// AssumeRole signed by the default chain's identity.
import {
  AssumeRoleCommand,
  type AssumeRoleCommandOutput,
  AssumeRoleWithWebIdentityCommand,
  type STSClient,
} from '@aws-sdk/client-sts'
import { type AccessKeys, callAws } from './aws-sts-calls.js'
import type { AwsStsConfig, RoleName } from './aws-sts-config.js'
import { ProviderError } from './provider.js'

export const stsAudience = 'sts.amazonaws.com'
// Long enough for clocks that differ a little; the session's own length does not depend on it.
const federationTokenSeconds = 120

/** Signs a token of the federation issuer, Hallpass's own identity towards AWS. */
export type SignFederationToken = (claims: {
  sub: string
  aud: string
  expiresInSeconds: number
  extra?: Record<string, unknown>
}) => Promise<string>

export interface SessionRequest {
  role: RoleName
  /** RoleSessionName. */
  session: string
  /** Whether SourceIdentity carries the session's name too. */
  sourceIdentity: boolean
  policy: string
  tags: Readonly<Record<string, string>>
  durationSeconds: number
  /** `sub` of the federation token, for web identity. */
  subject: string
  timeoutMs: number
}

export type AssumeSession = (request: SessionRequest) => Promise<AccessKeys>

/** `sub` of the federation token for a grant's leases: what the role's trust policy names. */
export function leaseSubject(provider: string, action: string): string {
  return `hallpass:${provider}:${action}`
}

export function createAssumeSession(
  config: AwsStsConfig,
  sts: STSClient,
  signFederationToken: SignFederationToken,
): AssumeSession {
  return async (request) => {
    const webIdentity = config.auth === 'web_identity'
    const doing = `STS ${webIdentity ? 'AssumeRoleWithWebIdentity' : 'AssumeRole'} of ${request.role.name}`
    const answer = await callAws(doing, request.timeoutMs, async (abortSignal) =>
      webIdentity
        ? sts.send(await webIdentityCommand(request, signFederationToken), { abortSignal })
        : sts.send(assumeRoleCommand(request), { abortSignal }),
    )
    return accessKeysOf(answer, request.session, doing)
  }
}

function assumeRoleCommand(request: SessionRequest): AssumeRoleCommand {
  const tagKeys = Object.keys(request.tags)
  return new AssumeRoleCommand({
    ...commonInput(request),
    Tags: tagKeys.map((key) => ({ Key: key, Value: request.tags[key] })),
    TransitiveTagKeys: tagKeys.slice(0, 1),
    ...(request.sourceIdentity ? { SourceIdentity: request.session } : {}),
  })
}

async function webIdentityCommand(
  request: SessionRequest,
  signFederationToken: SignFederationToken,
): Promise<AssumeRoleWithWebIdentityCommand> {
  const tagKeys = Object.keys(request.tags)
  // AWS's own claim names; every value of principal_tags is a list of one.
  const tags = {
    principal_tags: Object.fromEntries(tagKeys.map((key) => [key, [request.tags[key]]])),
    transitive_tag_keys: tagKeys.slice(0, 1),
  }
  const token = await signFederationToken({
    sub: request.subject,
    aud: stsAudience,
    expiresInSeconds: federationTokenSeconds,
    extra: {
      ...(tagKeys.length > 0 ? { 'https://aws.amazon.com/tags': tags } : {}),
      ...(request.sourceIdentity ? { 'https://aws.amazon.com/source_identity': request.session } : {}),
    },
  })
  return new AssumeRoleWithWebIdentityCommand({ ...commonInput(request), WebIdentityToken: token })
}

function commonInput(request: SessionRequest) {
  return {
    RoleArn: request.role.arn,
    RoleSessionName: request.session,
    Policy: request.policy,
    DurationSeconds: request.durationSeconds,
  }
}

/** Takes nothing on trust: an answer without keys, without an end, or for another session is no credential. */
function accessKeysOf(
  answer: Pick<AssumeRoleCommandOutput, 'Credentials' | 'AssumedRoleUser'>,
  session: string,
  doing: string,
): AccessKeys {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = answer.Credentials ?? {}
  const usable = AccessKeyId && SecretAccessKey && SessionToken && Expiration instanceof Date
  if (!usable || Number.isNaN(Expiration.getTime())) {
    throw new ProviderError('retryable', `${doing}: answered without usable credentials`)
  }
  if (answer.AssumedRoleUser?.Arn?.endsWith(`/${session}`) !== true) {
    throw new ProviderError('retryable', `${doing}: answered for another session`)
  }
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: SessionToken,
    expiration: Expiration,
  }
}
