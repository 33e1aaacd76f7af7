// A request for one credential on its way to a lease: in which task, under which lease id, and what the rules make of it.
import type { CredentialRequest } from '../api/credentials.js'
import type { Idempotency } from './idempotency.js'
import type { ResolvedRequest } from './resolved-request.js'

export interface LeaseRequest {
  readonly taskId: string
  /** Chosen before anything is decided, so that the credential can carry it as its mark. */
  readonly leaseId: string
  /** As it came over the wire. */
  readonly credential: CredentialRequest
  readonly resolved: ResolvedRequest
  /** Hash of the rules by which it was resolved. */
  readonly rulesHash: string
  readonly idempotency: Idempotency | null
  /** The approval that the request names. */
  readonly approvalId: string | null
}
