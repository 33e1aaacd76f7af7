// The IAM calls behind early revocation, made with an identity that may do these and nothing else.
import {
  GetRolePolicyCommand,
  type IAMClient,
  ListRolePoliciesCommand,
  NoSuchEntityException,
  PutRolePolicyCommand,
} from '@aws-sdk/client-iam'
import type { AssumeSession } from './aws-sts-assume.js'
import { type CredentialSource, callAws, createIamClient } from './aws-sts-calls.js'
import { type AwsStsConfig, type DenyPolicyConfig, parseRoleArn, type RoleName } from './aws-sts-config.js'

export interface RolePolicies {
  /** Our inline policy of the role as IAM keeps it, or null where there is none. */
  read(role: RoleName): Promise<string | null>
  write(role: RoleName, text: string): Promise<void>
  /** Characters, without white space, of the role's other inline policies. */
  measureOthers(role: RoleName): Promise<number>
  close(): void
}

/** The role that writes deny policies in the account of `role`, or null where the default chain's identity does it. */
export function denyWriterRole(config: AwsStsConfig, settings: DenyPolicyConfig, role: RoleName): RoleName | null {
  const template =
    settings.role ?? (config.auth === 'web_identity' ? `arn:aws:iam::${role.account}:role/hallpass-deny` : null)
  if (template === null) return null
  // IAM changes roles of the caller's own account only: so one writer in each, by the same name.
  const path = template.slice(template.indexOf(':role/'))
  return parseRoleArn(`arn:${role.partition}:iam::${role.account}${path}`) ?? null
}

/** `sub` of the federation token with which the writing role is taken. */
export function denyWriterSubject(provider: string): string {
  return `hallpass:${provider}:deny_policy`
}

export class IamRolePolicies implements RolePolicies {
  readonly #provider: string
  readonly #config: AwsStsConfig
  readonly #settings: DenyPolicyConfig
  readonly #assume: AssumeSession
  /** By partition and account: the identity that may write differs. */
  readonly #clients = new Map<string, IAMClient>()

  constructor(provider: string, config: AwsStsConfig, settings: DenyPolicyConfig, assume: AssumeSession) {
    this.#provider = provider
    this.#config = config
    this.#settings = settings
    this.#assume = assume
  }

  read(role: RoleName): Promise<string | null> {
    return this.#readNamed(role, this.#settings.policy_name)
  }

  async write(role: RoleName, text: string): Promise<void> {
    const input = { RoleName: role.name, PolicyName: this.#settings.policy_name, PolicyDocument: text }
    await this.#call('PutRolePolicy', role, (iam, abortSignal) =>
      iam.send(new PutRolePolicyCommand(input), { abortSignal }),
    )
  }

  async measureOthers(role: RoleName): Promise<number> {
    const { PolicyNames: names } = await this.#call('ListRolePolicies', role, (iam, abortSignal) =>
      iam.send(new ListRolePoliciesCommand({ RoleName: role.name }), { abortSignal }),
    )
    const others = (names ?? []).filter((name) => name !== this.#settings.policy_name)
    let characters = 0
    for (const name of others) characters += plainLength((await this.#readNamed(role, name)) ?? '')
    return characters
  }

  close(): void {
    for (const client of this.#clients.values()) client.destroy()
  }

  #readNamed(role: RoleName, policyName: string): Promise<string | null> {
    const command = new GetRolePolicyCommand({ RoleName: role.name, PolicyName: policyName })
    return this.#call('GetRolePolicy', role, async (iam, abortSignal) => {
      try {
        const answer = await iam.send(command, { abortSignal })
        // An answer without a document is garbage; taking it for "none" would overwrite what stands there.
        if (!answer.PolicyDocument) throw new Error('answered without a policy')
        return answer.PolicyDocument
      } catch (error) {
        if (error instanceof NoSuchEntityException) return null
        throw error
      }
    })
  }

  #call<T>(action: string, role: RoleName, call: (iam: IAMClient, abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    const doing = `IAM ${action} of ${role.name}`
    return callAws(doing, this.#config.timeout * 1000, (abortSignal) => call(this.#clientFor(role), abortSignal))
  }

  #clientFor(role: RoleName): IAMClient {
    const key = `${role.partition}:${role.account}`
    const existing = this.#clients.get(key)
    if (existing) return existing
    const writer = denyWriterRole(this.#config, this.#settings, role)
    const timeoutMs = this.#config.timeout * 1000
    const credentials = writer ? writerCredentials(this.#provider, writer, this.#assume, timeoutMs) : undefined
    const client = createIamClient(this.#config, credentials)
    this.#clients.set(key, client)
    return client
  }
}

/** Short sessions of the writing role, narrowed to the three calls. The SDK keeps them until shortly before their end. */
function writerCredentials(
  provider: string,
  writer: RoleName,
  assume: AssumeSession,
  timeoutMs: number,
): CredentialSource {
  const policy = JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Action: ['iam:GetRolePolicy', 'iam:PutRolePolicy', 'iam:ListRolePolicies'],
        Resource: `arn:${writer.partition}:iam::${writer.account}:role/*`,
      },
    ],
  })
  return () =>
    assume({
      role: writer,
      session: `hallpass-${provider}`.slice(0, 64),
      sourceIdentity: false,
      policy,
      tags: {},
      durationSeconds: 900,
      subject: denyWriterSubject(provider),
      timeoutMs,
    })
}

function plainLength(document: string): number {
  let text = document
  try {
    text = decodeURIComponent(document)
  } catch {
    // Not percent-encoded: counted as it is.
  }
  return text.replace(/\s/g, '').length
}
