// Refusals of verified callers that no decision stands behind. Denials are recorded where they are made; what cannot be
// attributed to a rule (a malformed request, an unknown id) and what comes in floods (`rate`) is not recorded one by one. What was
// declared or handed on wrongly is: somebody tries what the catalogue does not take.
import { redactPatterns } from '../audit/redaction.js'
import type { Json } from '../core/canonical-json.js'
import type { BrokerError, ErrorCode } from '../core/errors.js'
import type { Caller, Parts } from './parts.js'
import { countRequest } from './request-rate.js'

const recorded: readonly ErrorCode[] = [
  'not_permitted',
  'locked',
  'unknown_action',
  'unknown_resource',
  'already_issued',
  'task_closed',
  'idempotency_mismatch',
  'unfillable_recipe',
  'quota',
  'provider_failed',
  'provider_unavailable',
]

/** Throws `audit_unavailable`, `rate`. */
export async function recordRefusal(
  parts: Parts,
  caller: Caller,
  task: string | null,
  error: BrokerError,
): Promise<void> {
  if (!recorded.includes(error.code) && !isAboutIntent(error)) return
  await appendRefusal(parts, caller, {
    ...(task?.startsWith('task_') ? { task } : {}),
    code: error.code,
    detail: detailOf(error),
  })
}

/**
 * Writes a refusal of this caller down, once the request is counted by its account's rate: no caller can fill with refusals the
 * disk on which decisions and revocations are kept. Throws `rate`, and nothing is written, past it; `audit_unavailable`.
 */
export async function appendRefusal(
  parts: Parts,
  caller: Caller,
  about: Readonly<Record<string, Json | undefined>>,
): Promise<void> {
  const { principal, requestId } = caller
  await countRequest(parts, caller)
  await parts.audit.append({
    event: principal.use === 'operator' ? 'operator.refused' : 'request.refused',
    principal: principal.id,
    account: principal.account,
    request_id: requestId,
    ...about,
  })
}

const intent = /^(credentials\.\d+\.)?(context|ceiling|delegate|agent)(\.|$)/

const isAboutIntent = ({ code, errors }: BrokerError): boolean =>
  code === 'invalid_request' && errors?.some(({ field }) => intent.test(field)) === true

/** The names of what is declared are the caller's own words: one that pasted a secret there must not keep it in the audit (I5). */
function detailOf({ detail, errors }: BrokerError): string {
  const [first] = errors ?? []
  return first === undefined ? detail : `${redactPatterns(first.field)}: ${first.message}`
}
