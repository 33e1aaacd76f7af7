// Credentials that Hallpass signs itself: RFC 9068 access tokens whose jti is the lease. There is no far side: whether a token
// lives is what the ledger says (introspection), or nobody can end it before its time (offline).
import { type Clock, toTimestamp } from '../core/clock.js'
import type { SettingProblem } from '../core/settings.js'
import { minTtlSeconds as floors } from './floors.js'
import { intentOf } from './intent.js'
import {
  type Guarantees,
  type Handle,
  type Issued,
  type JsonObject,
  type LeaseToIssue,
  type Mark,
  type Provider,
  ProviderError,
} from './provider.js'
import {
  parseSignedJwtRecipe,
  reservedAudienceSet,
  type SignedJwtConfig,
  type SignedJwtRecipe,
  validateSignedJwtRecipe,
} from './signed-jwt-config.js'

export interface SignedJwtParts {
  clock: Clock
  /** `iss` of what is signed. */
  issuer: string
  /** Signs with the grants key, `typ: at+jwt`. */
  sign(claims: JsonObject): Promise<string>
  /** What introspection answers about a lease at this moment. Rejects when the ledger cannot be asked. */
  isActive(leaseId: string): Promise<boolean>
  /** Subject-token audiences and the providers' own: what nothing minted here may be good for. */
  reservedAudiences: readonly string[]
}

const minTtlSeconds = floors.jwt

/** A provider named `name`; it calls nobody, so it has nothing to close and no connection to break. */
export function createSignedJwtProvider(name: string, config: SignedJwtConfig, parts: SignedJwtParts): Provider {
  return new SignedJwtProvider(name, config, parts)
}

class SignedJwtProvider implements Provider {
  readonly kind = 'jwt'
  readonly callsNobody = true
  readonly name: string
  readonly timeoutSeconds: number
  readonly concurrency: number
  readonly #parts: SignedJwtParts
  readonly #reserved: ReadonlySet<string>

  constructor(name: string, config: SignedJwtConfig, parts: SignedJwtParts) {
    this.name = name
    this.timeoutSeconds = config.timeout
    this.concurrency = config.concurrency
    this.#parts = parts
    this.#reserved = reservedAudienceSet(parts.issuer, parts.reservedAudiences)
  }

  guarantees(recipe: JsonObject): Guarantees {
    const revocation = recipe.verified_by === 'introspection' ? 'immediate' : 'natural_expiry'
    return { revocation, minTtlSeconds, propagationSeconds: 0, sessions: 'may_continue' }
  }

  validate(recipe: JsonObject, grant: { standing: boolean }): SettingProblem[] {
    const problems = validateSignedJwtRecipe(recipe, this.#reserved)
    if (grant.standing)
      problems.push({ path: [], message: 'a signed token is no standing secret: remove `standing: true`' })
    return problems
  }

  plan(_lease: Omit<LeaseToIssue, 'remainingMs'>, recipe: JsonObject): Mark {
    parseSignedJwtRecipe(recipe, this.#reserved)
    // The lease's own id is the token's jti: there is nothing else to find it by, and nowhere to look.
    return {}
  }

  /**
   * Notes no handle: nobody can hold the token before the lease is active, and activation stores the handle. That spares
   * every exchange a round trip to the ledger.
   */
  async issue(lease: LeaseToIssue, recipe: JsonObject): Promise<Issued> {
    const parsed = parseSignedJwtRecipe(recipe, this.#reserved)
    const now = this.#parts.clock.now()
    const exp = expiryOf(lease.deadline)
    if (lease.remainingMs <= 0 || exp * 1000 <= now)
      throw new ProviderError('permanent', 'no whole second is left until the deadline')
    const token = await this.#sign(claimsOf(lease, parsed, this.#parts.issuer, Math.floor(now / 1000)))
    return {
      // RFC 9449 section 5: a verifier that reads Bearer would not ask for the proof.
      credential: {
        type: 'jwt',
        token,
        token_type: lease.jkt === null ? 'Bearer' : 'DPoP',
        expires_at: toTimestamp(exp * 1000),
      },
      handle: { jti: lease.id, exp, verified_by: parsed.verifiedBy },
      providerExpiresAt: exp * 1000,
      providerRef: lease.id,
      fingerprintOf: [token],
    }
  }

  async #sign(claims: JsonObject): Promise<string> {
    try {
      return await this.#parts.sign(claims)
    } catch (error) {
      throw new ProviderError('retryable', 'the token could not be signed', { cause: error })
    }
  }

  /**
   * Nothing to call: the ledger has moved the lease out of `active` before it asks, and introspection answers from the ledger.
   * An offline token cannot be ended, and saying `revoked` would put a lie into a receipt.
   */
  async revoke(handle: Handle): Promise<'revoked' | 'gone'> {
    const { exp, verifiedBy } = parseHandle(handle)
    if (this.#hasEnded(exp)) return 'gone'
    if (verifiedBy === 'introspection') return 'revoked'
    throw new ProviderError('permanent', 'a token that is verified offline ends at its own expiry and not before')
  }

  async probe(handle: Handle): Promise<'alive' | 'dead' | 'unknown'> {
    const { jti, exp, verifiedBy } = parseHandle(handle)
    if (this.#hasEnded(exp)) return 'dead'
    if (verifiedBy === 'offline') return 'alive'
    try {
      return (await this.#parts.isActive(jti)) ? 'alive' : 'dead'
    } catch {
      return 'unknown'
    }
  }

  #hasEnded(exp: number): boolean {
    // RFC 7519 section 4.1.4: on or after `exp` it must not be accepted.
    return this.#parts.clock.now() >= exp * 1000
  }

  /** Authoritative: a token leaves the process only with an active lease, which has its handle. */
  async findByMark(): Promise<'nothing'> {
    return 'nothing'
  }

  async diagnose(): Promise<string[]> {
    try {
      await this.#parts.sign({ iss: this.#parts.issuer, aud: 'diagnosis', exp: 0 })
      return []
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      return [
        `tokens cannot be signed (${why}): look at the keys directory, or make its keys with \`hallpass keys create\``,
      ]
    }
  }

  async close(): Promise<void> {}
}

/** Whole seconds, down: a token never outlives its lease. */
function expiryOf(deadline: number): number {
  return Math.floor(deadline / 1000)
}

function claimsOf(lease: LeaseToIssue, recipe: SignedJwtRecipe, issuer: string, iat: number): JsonObject {
  const { audience, scope, authorizationDetails } = recipe
  return {
    iss: issuer,
    sub: lease.principal,
    aud: typeof audience === 'string' ? audience : [...audience],
    exp: expiryOf(lease.deadline),
    iat,
    jti: lease.id,
    task: lease.taskId,
    intent: intentOf(lease),
    ...(lease.chain.length > 1 ? { act: actorsOf(lease.chain) } : {}),
    ...(scope.length > 0 ? { scope: scope.join(' ') } : {}),
    ...(authorizationDetails.length > 0 ? { authorization_details: [...authorizationDetails] } : {}),
    ...confirmationOf(lease),
  }
}

/** The key that the caller is bound to (RFC 9449 section 6, RFC 8705 section 3.1): whoever steals the token lacks it. */
function confirmationOf({ jkt, x5t }: LeaseToIssue): JsonObject {
  if (jkt !== null) return { cnf: { jkt } }
  return x5t === undefined ? {} : { cnf: { 'x5t#S256': x5t } }
}

/** RFC 8693 section 4.1: the outermost actor is the one who acts now, those within it acted before. */
function actorsOf(chain: LeaseToIssue['chain']): JsonObject {
  return [...chain].reverse().reduce<JsonObject>(
    (within, { principal, agent }) => ({
      sub: principal,
      ...(agent === undefined ? {} : { agent }),
      ...(within.sub === undefined ? {} : { act: within }),
    }),
    {},
  )
}

function parseHandle(handle: Handle): { jti: string; exp: number; verifiedBy: 'introspection' | 'offline' } {
  const { jti, exp, verified_by: verifiedBy } = handle
  const isKnown = verifiedBy === 'introspection' || verifiedBy === 'offline'
  if (typeof jti !== 'string' || typeof exp !== 'number' || !isKnown)
    throw new ProviderError('permanent', 'this is no handle of a signed token')
  return { jti, exp, verifiedBy }
}
