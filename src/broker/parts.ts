// What the stories work with. Built once by compose/compose.ts; `rules()` gives the set that is in force now, whole.
import type { AuditSink } from '../audit/record.js'
import type { Clock } from '../core/clock.js'
import type { Catalogue } from '../grants/catalogue.js'
import type { Limits } from '../grants/limits-config.js'
import type { Principal } from '../identity/principal.js'
import type { Requirements } from '../identity/requirements.js'
import type { Approval, ApprovalNews } from '../ledger/approval.js'
import type { Ledger } from '../ledger/ledger.js'
import type { Sealing } from '../ledger/sealing.js'
import type { PolicyEngine } from '../policy/engine.js'
import type { IssuerTypes } from '../policy/schema.js'
import type { Breakers } from '../providers/breaker.js'
import type { Provider } from '../providers/provider.js'
import type { RevocationQueue } from '../queue/revocation-queue.js'
import type { Keyset } from '../signing/keyset.js'
import type { Logger } from '../telemetry/logger.js'
import type { Metrics } from '../telemetry/metrics.js'

/** How far a change of rules may reach into what is live, without a word of an operator's. */
export interface ChangeLimits {
  /** Of the live leases so many, or this share of them where that is more. */
  readonly brakeLeases: number
  readonly brakePercent: number
  /** How fast leases are told to end. */
  readonly endsPerSecond: number
}

export interface Rules {
  /** SHA-256 of all that is in here and decides: policies, groups, grants, resources, limits, what issuers require. */
  readonly hash: string
  /** What issuers require, for those of whom only the record is left. */
  readonly requirements: Requirements
  readonly change: ChangeLimits
  /** The sets that were in force in this program before, the latest first; a few. */
  readonly earlier: readonly Rules[]
  readonly catalogue: Catalogue
  readonly policy: PolicyEngine
  readonly limits: Limits
  /** Whether this issuer's workloads also show the task token on every call on a task. */
  taskTokenRequired(issuer: string): boolean
  /** What each issuer's tokens give, by its name. */
  readonly issuerTypes: Readonly<Record<string, IssuerTypes>>
  /** An engine over other policies, by path, validated as at load; nothing is taken into force. Throws PolicySetError. */
  tryPolicies(files: Readonly<Record<string, string>>): Promise<PolicyEngine>
  /** Whether an issuer of workloads has this name: nobody else can be a delegate. */
  isWorkloadIssuer(name: string): boolean
}

export interface Parts {
  readonly issuer: string
  rules(): Rules
  readonly providers: ReadonlyMap<string, Provider>
  readonly ledger: Ledger
  readonly sealing: Sealing
  readonly audit: AuditSink
  /** Where the audit's chains and the policy sets that they name lie. */
  readonly auditDirectory: string
  readonly queue: RevocationQueue
  readonly keyset: Keyset
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Who does not answer is not asked again at once. */
  readonly breakers: Breakers
  /** Is told of approvals, best effort: a webhook, a console. It must not throw or wait. */
  readonly announce?: (news: ApprovalNews, approval: Approval) => void
}

/** Who calls and in which request: what every story is told of its caller. */
export interface Caller {
  readonly principal: Principal
  readonly requestId: string
  /** Whether this request was counted by its account's rate; whoever counts it says so here. Absent: each story counts its own. */
  readonly rate?: { isCounted: boolean }
}
