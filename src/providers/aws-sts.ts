// AWS STS: sessions of a role, narrowed by a session policy that also ends them at the lease's deadline. Early end by an
// inline deny policy on the role. STS and IAM are trusted for what they enforce, not for what they answer.
import type { STSClient } from '@aws-sdk/client-sts'
import type { Clock } from '../core/clock.js'
import { toTimestamp } from '../core/clock.js'
import type { SettingProblem } from '../core/settings.js'
import { type AssumeSession, createAssumeSession, leaseSubject, type SignFederationToken } from './aws-sts-assume.js'
import { createStsClient } from './aws-sts-calls.js'
import {
  type AwsStsConfig,
  type DenyPolicyConfig,
  denyPolicyOf,
  parseRoleArn,
  type RoleName,
} from './aws-sts-config.js'
import { denialCapacity, maxRoleCharacters } from './aws-sts-deny-policy.js'
import { DenyWriter, type LockRole } from './aws-sts-deny-writer.js'
import { diagnoseIdentity, diagnoseRole, type KnownRole } from './aws-sts-diagnose.js'
import { IamRolePolicies, type RolePolicies } from './aws-sts-iam.js'
import { planSession, sessionSeconds, validateRecipe } from './aws-sts-session.js'
import { minTtlSeconds } from './floors.js'
import {
  type Capacity,
  type Guarantees,
  type Handle,
  type Issued,
  type JsonObject,
  type LeaseToIssue,
  type Mark,
  type Provider,
  ProviderError,
} from './provider.js'

export interface AwsStsDeps {
  clock: Clock
  /** Signs with the federation key as `federationIssuer`. */
  signFederationToken: SignFederationToken
  /** `<issuer>/federation`: what IAM knows as the OpenID Connect provider. */
  federationIssuer: string
  /** Exclusive across all workers; held for three time-outs at most. */
  lockRole: LockRole
}

/** One `aws_sts` provider. `name` is its name in the configuration. Nothing is called before the first lease. */
export function createAwsStsProvider(name: string, config: AwsStsConfig, deps: AwsStsDeps): Provider {
  return new AwsStsProvider(name, config, deps)
}

class AwsStsProvider implements Provider {
  readonly kind = 'aws_sts'
  readonly name: string
  readonly timeoutSeconds: number
  readonly concurrency: number
  readonly #config: AwsStsConfig
  readonly #settings: DenyPolicyConfig | null
  readonly #clock: Clock
  readonly #federationIssuer: string
  readonly #sts: STSClient
  readonly #assume: AssumeSession
  readonly #policies: RolePolicies | null = null
  readonly #writer: DenyWriter | null = null
  /** Roles named in full by the catalogue, for diagnose(). */
  readonly #roles = new Map<string, KnownRole>()
  /** Sessions left to their near deadline (epoch ms): asking IAM about them would only use up its rate. */
  readonly #leftToDeadline = new Map<string, number>()

  constructor(name: string, config: AwsStsConfig, deps: AwsStsDeps) {
    this.name = name
    this.timeoutSeconds = config.timeout
    this.concurrency = config.concurrency
    this.#config = config
    this.#settings = denyPolicyOf(config)
    this.#clock = deps.clock
    this.#federationIssuer = deps.federationIssuer
    this.#sts = createStsClient(config)
    this.#assume = createAssumeSession(config, this.#sts, deps.signFederationToken)
    if (this.#settings) {
      this.#policies = new IamRolePolicies(name, config, this.#settings, this.#assume)
      this.#writer = new DenyWriter(this.#settings, config.timeout, this.#policies, deps.lockRole, deps.clock)
    }
  }

  guarantees(): Guarantees {
    const always = this.#settings?.when === 'always'
    return {
      revocation: always ? 'deny_policy' : 'natural_expiry',
      minTtlSeconds: minTtlSeconds.aws_sts,
      propagationSeconds: this.#settings?.propagation ?? 0,
      // AWS decides at every call: nothing opened with the session goes on without it.
      sessions: 'ended',
    }
  }

  validate(recipe: JsonObject, grant: { name: string; standing: boolean; maxTtlSeconds: number }): SettingProblem[] {
    const role = typeof recipe.role === 'string' ? parseRoleArn(recipe.role) : undefined
    if (role) this.#roles.set(`${role.arn} ${grant.name}`, { role, action: grant.name })
    return validateRecipe(recipe, grant.maxTtlSeconds)
  }

  plan(lease: Omit<LeaseToIssue, 'remainingMs'>, recipe: JsonObject): Mark {
    const { role, session } = planSession(lease, recipe)
    return { session, role: role.arn, deadline: lease.deadline }
  }

  /** Reserved with each lease, so that every one of them can be ended early. Only promised where the class is. */
  capacity(recipe: JsonObject): Capacity | null {
    if (this.#settings?.when !== 'always' || typeof recipe.role !== 'string') return null
    const room = maxRoleCharacters - this.#settings.other_policies
    return { key: recipe.role, leases: denialCapacity(room) }
  }

  /** The mark is all a handle needs, so that nothing has to be noted between the call and its answer. */
  async issue(lease: LeaseToIssue, recipe: JsonObject): Promise<Issued> {
    if (lease.remainingMs <= 0) throw new ProviderError('permanent', 'no time is left until the deadline')
    const plan = planSession(lease, recipe)
    const keys = await this.#assume({
      ...plan,
      sourceIdentity: true,
      durationSeconds: sessionSeconds(lease.remainingMs, plan.maxSessionSeconds),
      subject: leaseSubject(this.name, lease.action),
      timeoutMs: Math.min(this.timeoutSeconds * 1000, lease.remainingMs),
    })
    const providerExpiresAt = keys.expiration.getTime()
    return {
      credential: {
        type: 'aws',
        access_key_id: keys.accessKeyId,
        secret_access_key: keys.secretAccessKey,
        session_token: keys.sessionToken,
        region: this.#config.region,
        // STS's own end is later for a short lease; the session policy has ended it by then.
        expires_at: toTimestamp(Math.min(providerExpiresAt, lease.deadline)),
      },
      handle: { session: plan.session, role: plan.role.arn, deadline: lease.deadline },
      providerExpiresAt,
      providerRef: keys.accessKeyId,
      fingerprintOf: [keys.accessKeyId, keys.secretAccessKey, keys.sessionToken],
    }
  }

  /**
   * Resolves once the deny stands in the role's policy; what that is worth, probe() says. An unforced end shortly before
   * the deadline (`min_remaining`) writes nothing and leaves probe() at `alive` until then.
   */
  async revoke(handle: Handle, deadline: number, { forced }: { forced: boolean }): Promise<'revoked' | 'gone'> {
    const { role, session } = parseHandle(handle)
    const remainingMs = deadline - this.#clock.now()
    if (remainingMs <= 0) return 'gone'
    if (!this.#writer || !this.#settings || (this.#settings.when === 'forced' && !forced)) {
      throw new ProviderError('permanent', 'this provider ends credentials at their deadline only')
    }
    if (!forced && remainingMs < this.#settings.min_remaining * 1000) {
      this.#leaveToDeadline(session, deadline)
      return 'revoked'
    }
    this.#leftToDeadline.delete(session)
    await this.#writer.deny(role, { session, until: deadline, forced })
    return 'revoked'
  }

  /** After the deadline the dated deny in the session's own policy holds, whatever stands on the role. */
  async probe(handle: Handle): Promise<'alive' | 'dead' | 'unknown'> {
    const { role, session, deadline } = parseHandle(handle)
    if (this.#clock.now() >= deadline) return 'dead'
    if (!this.#writer || !this.#settings || this.#leftToDeadline.has(session)) return 'alive'
    try {
      const seenAt = await this.#writer.findDenial(role, session)
      if (seenAt === null) return 'alive'
      return this.#clock.now() - seenAt >= this.#settings.propagation * 1000 ? 'dead' : 'unknown'
    } catch {
      return 'unknown'
    }
  }

  /** STS lists no sessions, so `nothing` is never known; but a session can be denied by its name before it exists. */
  async findByMark(mark: Mark): Promise<Handle> {
    return mark
  }

  /** Assumes every known role once, for a session that may do nothing, and rewrites its deny policy as it is. */
  async diagnose(): Promise<string[]> {
    const problems = await diagnoseIdentity(this.#config, this.#sts, this.#federationIssuer)
    if (problems.length > 0) return problems
    const checks = {
      provider: this.name,
      config: this.#config,
      assume: this.#assume,
      policies: this.#policies,
      writer: this.#writer,
    }
    for (const known of this.#roles.values()) problems.push(...(await diagnoseRole(known, checks)))
    return [...new Set(problems)]
  }

  #leaveToDeadline(session: string, deadline: number): void {
    const now = this.#clock.now()
    for (const [left, end] of this.#leftToDeadline) if (end < now) this.#leftToDeadline.delete(left)
    this.#leftToDeadline.set(session, deadline)
  }

  async close(): Promise<void> {
    await this.#writer?.close()
    this.#policies?.close()
    this.#sts.destroy()
  }
}

function parseHandle(handle: Handle): { role: RoleName; session: string; deadline: number } {
  const { role, session, deadline } = handle
  const name = typeof role === 'string' ? parseRoleArn(role) : undefined
  if (!name || typeof session !== 'string' || typeof deadline !== 'number') {
    throw new ProviderError('permanent', 'the handle is not one of an aws_sts provider')
  }
  return { role: name, session, deadline }
}
