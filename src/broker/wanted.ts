// One credential that is wanted: in which task, as which lease, resolved to what.
import type { CredentialRequest } from '../api/credentials.js'
import type { Asked } from './asked.js'

export interface Idempotency {
  /** SHA-256 of the key: the caller chose it, so it does not become a name in Redis. */
  readonly key: string
  /** SHA-256 of the canonical JSON of the parsed, defaulted request. */
  readonly bodySha256: string
}

export interface Wanted {
  readonly taskId: string
  readonly leaseId: string
  readonly request: CredentialRequest
  /** What the rules with this hash make of it. */
  readonly asked: Asked
  readonly rules: string
  readonly idempotency: Idempotency | null
  /** The approval that the request names. */
  readonly approvalId: string | null
}
