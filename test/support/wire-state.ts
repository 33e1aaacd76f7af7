// What the small broker of the clients' tests knows, for tests to read and to set.
import type { IncomingHttpHeaders } from 'node:http'
import type { Approval } from '../../src/api/approvals.js'
import type { Credential } from '../../src/api/credentials.js'
import type { Lease, Receipt } from '../../src/api/leases.js'
import type { Task } from '../../src/api/tasks.js'

export const workloadToken = 'workload.subject.token'
export const operatorToken = 'operator.subject.token'
export const inAnHour = '2031-05-06T07:08:09.500Z'

/** What one action gives, and how its leases end. */
export interface Offer {
  credential: Credential
  env?: Record<string, string>
  outcome?: Receipt['outcome']
  /** So many answers say `pending` first. */
  pendingAnswers?: number
}

export interface SeenRequest {
  method: string
  path: string
  query: Record<string, string>
  headers: IncomingHttpHeaders
  body: unknown
}

/** What the broker knows; tests read and set it. */
export interface WireState {
  readonly offers: Map<string, Offer>
  /** Actions that policy denies, with the code of the refusal. */
  readonly refused: Map<string, string>
  /** Actions that people have to approve, and who. */
  readonly approvers: Map<string, { group: string; needed: number }>
  readonly approvals: Map<string, Approval>
  readonly leases: Map<string, Lease>
  readonly tasks: Map<string, Task>
  /** How often each still answers `running`. */
  readonly revocations: Map<string, number>
}
