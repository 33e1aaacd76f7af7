// What the stories work with. Built once by compose.ts; `rules()` gives the set that is in force now, whole.
import type { AuditSink } from '../audit/record.js'
import type { Clock } from '../core/clock.js'
import type { Catalogue } from '../grants/catalogue.js'
import type { Limits } from '../grants/limits-config.js'
import type { Principal } from '../identity/principal.js'
import type { Approval, ApprovalNews } from '../ledger/approval.js'
import type { Ledger } from '../ledger/ledger.js'
import type { Sealing } from '../ledger/sealing.js'
import type { PolicyEngine } from '../policy/engine.js'
import type { Breakers } from '../providers/breaker.js'
import type { Provider } from '../providers/provider.js'
import type { RevocationQueue } from '../queue/revocation-queue.js'
import type { Keyset } from '../signing/keyset.js'
import type { Logger } from '../telemetry/logger.js'
import type { Metrics } from '../telemetry/metrics.js'

export interface Rules {
  readonly catalogue: Catalogue
  readonly policy: PolicyEngine
  readonly limits: Limits
  /** Whether this issuer's workloads also show the task token on every call on a task. */
  taskTokenRequired(issuer: string): boolean
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
}
