// What a provider is: docs/providers.md says it in words, one contract suite (test/contracts/provider.ts) in code.
import type { Json } from '../core/canonical-json.js'
import type { SettingProblem } from '../core/settings.js'

export type RevocationClass = 'immediate' | 'deny_policy' | 'natural_expiry' | 'standing'

export interface Guarantees {
  revocation: RevocationClass
  minTtlSeconds: number
  /** The lifetime that the provider gives whatever is asked, where it cannot be shortened. */
  fixedTtlSeconds?: number
  /** How long a revocation needs to spread, once made. */
  propagationSeconds: number
  /** Whether what was opened with the credential (a database connection) ends with it. */
  sessions: 'ended' | 'may_continue'
}

/** A JSON object that a recipe, mark or handle is. */
export type JsonObject = { readonly [member: string]: Json | undefined }

/** What a provider may know of the lease it mints for. Everything here is verified or the operator's own. */
export interface LeaseToIssue {
  readonly id: string
  readonly taskId: string
  /** From the caller up to the root of its chain. */
  readonly chain: readonly { readonly principal: string; readonly task: string; readonly agent?: string }[]
  readonly principal: string
  readonly account: string
  readonly action: string
  readonly access: string
  readonly resource: string
  readonly declared: Readonly<Record<string, Json>>
  /** Absolute end, epoch milliseconds of the ledger's clock. */
  readonly deadline: number
  /** What is left until the deadline, measured directly before the call; the lifetime to ask for. Milliseconds. */
  readonly remainingMs: number
  /** RFC 7638 thumbprint the credential is to be bound to, where the binding is dpop. */
  readonly jkt: string | null
  /** The certificate's thumbprint (RFC 8705) where the caller is bound by `mtls`. */
  readonly x5t?: string
}

/** How a credential will be recognised at the provider before any handle is known. Stored in the clear, so never a secret. */
export type Mark = JsonObject
/** What the provider needs to revoke or probe the credential. Sealed before it is stored. */
export type Handle = JsonObject

/** As on the wire (src/api/credentials.ts): `type` first, then the secret members. */
export type Credential = { readonly type: string; readonly [member: string]: unknown }

export interface Issued {
  credential: Credential
  handle: Handle
  /** Epoch milliseconds at which the provider itself ends it. */
  providerExpiresAt: number
  /** A public reference that operators find again at the provider (accessor, access key id, jti). */
  providerRef: string
  /** The texts whose SHA-256 answers "whose is this?": token, access key id, username. */
  fingerprintOf: readonly string[]
}

/** Stores what is known so far; resolves once the ledger has it. Called as soon as anything revocable exists. */
export type NoteHandle = (handle: Handle) => Promise<void>

/** At most `leases` leases may be live under `key` at once (room in an AWS role's inline policies). */
export interface Capacity {
  key: string
  leases: number
}

export interface Provider {
  readonly name: string
  readonly kind: string
  readonly timeoutSeconds: number
  readonly concurrency: number
  /** To revoke and to probe leave this process alone: what is due needs no queue to keep a slow far side apart. */
  readonly callsNobody?: boolean
  guarantees(recipe: JsonObject): Guarantees
  /** At load: what is wrong with a recipe whose placeholders are still unfilled. Paths are relative to the recipe. */
  validate(recipe: JsonObject, grant: { name: string; standing: boolean; maxTtlSeconds: number }): SettingProblem[]
  /** Before the call, without any network: the credential's mark. Throws BrokerError `unfillable_recipe`. */
  plan(lease: Omit<LeaseToIssue, 'remainingMs'>, recipe: JsonObject): Mark
  capacity?(recipe: JsonObject): Capacity | null
  /**
   * Mints once and never retries. Throws ProviderError; whatever it threw, something may exist at the provider and the
   * caller ends the lease.
   */
  issue(lease: LeaseToIssue, recipe: JsonObject, noteHandle: NoteHandle): Promise<Issued>
  /** Ends it; idempotent. `forced` when an operator says so. Throws ProviderError (retryable or permanent). */
  revoke(handle: Handle, deadline: number, options: { forced: boolean }): Promise<'revoked' | 'gone'>
  /** What is true now. `unknown` for any doubt: never `dead` by guess. */
  probe(handle: Handle): Promise<'alive' | 'dead' | 'unknown'>
  /**
   * After a crash: what stands under this mark? A handle to revoke, `nothing` only where that is authoritative (it was
   * never minted, or what exists nobody can hold and it ends by itself), else `unknown`. `notesLost`: a handle may have been
   * noted and lost since, so that there is none proves nothing.
   */
  findByMark(mark: Mark, known?: { notesLost: boolean }): Promise<Handle | 'nothing' | 'unknown'>
  /** What is alive there and ours, for orphans, recovery and the soak. */
  list?(): AsyncIterable<{ mark: Mark; handle: Handle }>
  /** For `doctor`: what is wrong and what to do. Empty when all is well. */
  diagnose(): Promise<string[]>
  /** For `doctor`, where nothing is wrong: what is left out by choice. */
  notes?(): Promise<string[]>
  close(): Promise<void>
}

/** Why a call to a provider failed. `message` is for logs and operators: no secret, no upstream body. */
export class ProviderError extends Error {
  /** retryable: try again. permanent: trying again will not help. unavailable: it could not be reached or did not answer in time. */
  readonly kind: 'retryable' | 'permanent' | 'unavailable'
  constructor(kind: 'retryable' | 'permanent' | 'unavailable', message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'ProviderError'
    this.kind = kind
  }
}
