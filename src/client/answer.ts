// From an HTTP answer to a value of the wire contract or a ClientError. The body is never quoted: it may hold a secret.
import type { z } from 'zod'
import { type Problem, problem } from '../api/problem.js'
import { ClientError, type ClientErrorExtras } from './client-error.js'
import type { HttpAnswer } from './http-json.js'

/** `origin` is for messages alone; `takesApprovals`: the schema also reads the 202 of what people have to approve. */
export function parseAnswer<Schema extends z.ZodType>(
  answer: HttpAnswer,
  expect: Schema,
  origin: string,
  takesApprovals = false,
): z.infer<Schema> {
  if (answer.status < 200 || answer.status > 299) throw refusalOf(answer, origin)
  const extras = extrasOf(answer)
  const body = parseJson(answer.text)
  // 202 with an approval: somebody has to agree first and nothing was minted. (Revocations answer 202 with what is theirs.)
  if (!takesApprovals && answer.status === 202 && isUnapproved(body)) {
    throw new ClientError('approval_required', 'a person has to approve this first', extras)
  }
  const parsed = expect.safeParse(body)
  if (parsed.success) return parsed.data
  const where = parsed.error.issues[0]?.path.join('.') || 'the whole'
  throw new ClientError('invalid_answer', `${origin} answered ${answer.status}, but not as agreed (${where})`, extras)
}

function refusalOf(answer: HttpAnswer, origin: string): ClientError {
  const parsed = problem.safeParse(parseJson(answer.text))
  const extras = extrasOf(answer)
  if (parsed.success)
    return new ClientError(parsed.data.code, describeProblem(parsed.data), { ...extras, problem: parsed.data })
  const why = `${origin} answered ${answer.status} without a problem document`
  // A load balancer's own 5xx says only that the broker did not answer.
  if (answer.status >= 500) return new ClientError('unavailable', why, extras)
  return new ClientError('invalid_answer', `${why}: is the URL a Hallpass broker's?`, extras)
}

function describeProblem(document: Problem): string {
  const fields = (document.errors ?? []).filter(({ field }) => !document.detail.includes(field))
  return [document.detail, ...fields.map(({ field, message }) => `${field}: ${message}`)].join('; ')
}

function extrasOf(answer: HttpAnswer): ClientErrorExtras {
  const retryAfter = Number(answer.headers['retry-after'] ?? Number.NaN)
  const requestId = answer.headers['x-request-id']
  return {
    status: answer.status,
    ...(Number.isFinite(retryAfter) ? { retryAfterSeconds: retryAfter } : {}),
    ...(typeof requestId === 'string' ? { requestId } : {}),
  }
}

function isUnapproved(body: unknown): boolean {
  return typeof body === 'object' && body !== null && ('approval' in body || 'approvals' in body)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
