// Subject token in, leased credential out. Reserve before issuing; audit before and after (I2).
// After each step the ledger holds what is needed to clean up, should this process die there: docs/architecture.md has the table.
import type { CredentialRequest } from '../api/credentials.js'
import { createId } from '../core/ids.js'
import type { Lease } from '../ledger/lease.js'
import type { Decision } from '../policy/decision.js'
import type { Credential } from '../providers/provider.js'
import { activateOrEnd } from './activate.js'
import type { Idempotency } from './idempotency.js'
import { issueOrEnd } from './issue.js'
import type { LeaseRequest } from './lease-request.js'
import type { Caller, Parts } from './parts.js'
import { recordReserved } from './records.js'
import { asOneRequest } from './request-rate.js'
import { reserveAsDecided } from './reserve.js'
import { resolveRequest } from './resolved-request.js'

export interface Exchanged {
  readonly lease: Lease
  readonly credential: Credential
  readonly decision: Decision
  /** What `exec` sets: resource values filled in, `${credential.…}` left to the client. */
  readonly env: Readonly<Record<string, string>>
}

/**
 * Buys one credential in an open task of the caller's.
 * Throws ApprovalWanted (202) when people have to agree first.
 * Throws BrokerError: 400 and 404 for what is asked, 404 for another's task, 403 with the decision, 409, 422, 429, 502, 503.
 * Whatever it throws after the reservation, the lease is already on its way to its end.
 */
export async function exchange(
  parts: Parts,
  caller: Caller,
  taskId: string,
  request: CredentialRequest,
  idempotency: Idempotency | null,
): Promise<Exchanged> {
  const leaseRequest: LeaseRequest = {
    taskId,
    leaseId: createId('lease', parts.clock.now()),
    credential: request,
    resolved: resolveRequest(parts, request),
    rulesHash: parts.rules().hash,
    idempotency,
    approvalId: request.approval_id ?? null,
  }
  // Counted once, however often the look has to be repeated.
  const reserved = await reserveAsDecided(parts, asOneRequest(caller), leaseRequest)
  await recordReserved(parts, caller, reserved)
  const issued = await issueOrEnd(parts, caller, reserved)
  const lease = await activateOrEnd(parts, caller, reserved, issued)
  return { lease, credential: issued.credential, decision: reserved.decided.decision, env: reserved.env }
}
