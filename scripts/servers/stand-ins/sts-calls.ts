// What the stand-in for STS and IAM does for each call. It checks what AWS checks of a request's form and of a web
// identity token; it evaluates no policy.
import { randomBytes } from 'node:crypto'
import { type createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'
import { AwsFault, parseTags, type Xml } from './aws-query.js'

export interface StandInRole {
  id: string
  arn: string
  maxSessionSeconds: number
  trust: string
  policies: Map<string, string>
}

export interface StandInSession {
  accessKeyId: string
  sessionToken: string
  role: StandInRole
  name: string
  policy: string
  tags: Record<string, string>
  sourceIdentity: string | null
  /** `sub` of the web identity token, null for AssumeRole. */
  subject: string | null
  expiresAt: number
}

export interface StsState {
  account: string
  /** Role name → role. */
  roles: Map<string, StandInRole>
  /** Access key id → session. */
  sessions: Map<string, StandInSession>
  /** The one registered OpenID Connect provider, or null. */
  identityProvider: { issuer: string; keys: ReturnType<typeof createRemoteJWKSet> } | null
}

export interface Caller {
  accessKeyId: string | null
  session: StandInSession | null
}

export type AwsCall = (state: StsState, form: URLSearchParams, caller: Caller) => Xml | Promise<Xml>

export const stsCalls: Readonly<Record<string, AwsCall>> = {
  AssumeRole: (state, form, caller) => {
    requireSigned(caller)
    return openSession(state, form, {
      subject: null,
      tags: parseTags(form),
      sourceIdentity: form.get('SourceIdentity'),
    })
  },
  AssumeRoleWithWebIdentity: async (state, form) => {
    const claims = await verifyIdentity(state, form.get('WebIdentityToken') ?? '')
    const tags = (claims['https://aws.amazon.com/tags'] ?? {}) as { principal_tags?: Record<string, string[]> }
    const sourceIdentity = claims['https://aws.amazon.com/source_identity']
    return openSession(state, form, {
      subject: claims.sub ?? '',
      tags: Object.fromEntries(
        Object.entries(tags.principal_tags ?? {}).map(([key, values]) => [key, values[0] ?? '']),
      ),
      sourceIdentity: typeof sourceIdentity === 'string' ? sourceIdentity : null,
    })
  },
  GetCallerIdentity: (state, _form, caller) => {
    requireSigned(caller)
    const { session } = caller
    if (!session)
      return { UserId: 'AIDASTANDIN', Account: state.account, Arn: `arn:aws:iam::${state.account}:user/hallpass` }
    return { UserId: `${session.role.id}:${session.name}`, Account: state.account, Arn: sessionArn(state, session) }
  },
}

function openSession(
  state: StsState,
  form: URLSearchParams,
  origin: Pick<StandInSession, 'subject' | 'tags' | 'sourceIdentity'>,
): Xml {
  const name = form.get('RoleSessionName') ?? ''
  const policy = form.get('Policy') ?? ''
  const seconds = Number(form.get('DurationSeconds') ?? 3600)
  const role = [...state.roles.values()].find(({ arn }) => arn === form.get('RoleArn'))
  if (!role) throw new AwsFault(403, 'AccessDenied', 'not authorized to perform: sts:AssumeRole')
  checkText('roleSessionName', name, /^[\w+=,.@-]{2,64}$/)
  if (origin.sourceIdentity !== null) checkText('sourceIdentity', origin.sourceIdentity, /^[\w+=,.@-]{2,64}$/)
  checkSessionPolicy(policy)
  checkTags(origin.tags)
  if (!(seconds >= 900 && seconds <= role.maxSessionSeconds)) {
    throw new AwsFault(400, 'ValidationError', 'The requested DurationSeconds is outside what this role allows')
  }
  const session: StandInSession = {
    ...origin,
    accessKeyId: `ASIA${randomBytes(8).toString('hex').toUpperCase()}`,
    sessionToken: randomBytes(96).toString('base64'),
    role,
    name,
    policy,
    expiresAt: Date.now() + seconds * 1000,
  }
  state.sessions.set(session.accessKeyId, session)
  return {
    Credentials: {
      AccessKeyId: session.accessKeyId,
      SecretAccessKey: randomBytes(30).toString('base64'),
      SessionToken: session.sessionToken,
      Expiration: new Date(session.expiresAt).toISOString(),
    },
    AssumedRoleUser: { AssumedRoleId: `${role.id}:${name}`, Arn: sessionArn(state, session) },
    PackedPolicySize: '6',
  }
}

function checkTags(tags: Readonly<Record<string, string>>): void {
  const entries = Object.entries(tags)
  if (entries.length > 50) throw new AwsFault(400, 'ValidationError', 'too many tags')
  for (const [key, value] of entries) {
    checkText('tag key', key, /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u)
    checkText('tag value', value, /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u)
  }
}

async function verifyIdentity(state: StsState, token: string): Promise<JWTPayload> {
  const provider = state.identityProvider
  if (!provider) throw new AwsFault(400, 'InvalidIdentityToken', 'No OpenIDConnect provider found in your account')
  try {
    const expected = { issuer: provider.issuer, audience: 'sts.amazonaws.com', requiredClaims: ['sub', 'iat', 'exp'] }
    return (await jwtVerify(token, provider.keys, expected)).payload
  } catch {
    throw new AwsFault(400, 'InvalidIdentityToken', `the token could not be verified: ${token}`)
  }
}

function checkSessionPolicy(policy: string): void {
  if (policy === '') return
  if (policy.length > 2048) throw new AwsFault(400, 'ValidationError', `policy is too long: ${policy}`)
  checkText('policy', policy, /^[\t\n\r\u0020-\u00ff]+$/)
  checkDocument(policy)
}

/** IAM and STS refuse what is no policy document; what it says is not looked at. */
export function checkDocument(text: string): void {
  try {
    const { Statement: statements } = JSON.parse(text) as { Statement?: unknown }
    if (Array.isArray(statements) && statements.length > 0) return
  } catch {
    // Answered below, as any other document that is none.
  }
  throw new AwsFault(400, 'MalformedPolicyDocument', 'This policy contains invalid Json')
}

export function requireSigned(caller: Caller): void {
  if (caller.accessKeyId === null) throw new AwsFault(403, 'MissingAuthenticationToken', 'Missing Authentication Token')
}

function sessionArn(state: StsState, session: StandInSession): string {
  return `arn:aws:sts::${state.account}:assumed-role/${session.role.arn.split('/').at(-1)}/${session.name}`
}

function checkText(name: string, text: string, form: RegExp): void {
  if (!form.test(text))
    throw new AwsFault(400, 'ValidationError', `Value '${text}' at '${name}' failed to satisfy constraint`)
}
