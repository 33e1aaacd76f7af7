// Authorization header → who is calling. No header, a broken one or a refused token: 401.
import type { IncomingMessage } from 'node:http'
import type { Parts } from '../broker/parts.js'
import { taskTokenType, verifyTaskToken } from '../broker/task-token.js'
import { BrokerError } from '../core/errors.js'
import type { IssuerPool } from '../identity/issuer-pool.js'
import type { Access, Identity } from './route.js'

export interface Authenticator {
  readonly parts: Parts
  issuers(): IssuerPool
}

/** Throws `invalid_token` (401), `issuer_unavailable` (503), `not_permitted` (403: a workload at an operators' call or the reverse). */
export async function authenticate(
  on: Authenticator,
  request: IncomingMessage,
  access: Access,
  requestId: string,
): Promise<Identity> {
  if (access === 'public') return { kind: 'nobody', requestId }
  const token = readBearer(request)
  const takesTaskToken = access === 'owner' || access === 'owner_or_operator'
  if (takesTaskToken && isTaskToken(token))
    return { kind: 'task', task: await verifyTaskToken(on.parts, token), requestId }
  const principal = await on.issuers().authenticate(token)
  const wrong =
    (access === 'operator' && principal.use !== 'operator') ||
    ((access === 'workload' || access === 'owner') && principal.use !== 'workload')
  const taskToken = headerOf(request, 'hallpass-task-token')
  const identity: Identity = { kind: 'principal', principal, requestId, taskToken }
  if (wrong) throw new NotPermitted(identity, principal.use)
  return identity
}

/** A verified caller at the wrong door: known well enough to be named in the audit. */
export class NotPermitted extends BrokerError {
  readonly identity: Identity
  constructor(identity: Identity, use: 'workload' | 'operator') {
    super('not_permitted', use === 'workload' ? 'this call is for operators' : 'this call is for workloads')
    this.identity = identity
  }
}

function readBearer(request: IncomingMessage): string {
  const header = headerOf(request, 'authorization')
  if (header === null) throw new BrokerError('invalid_token', 'expected the header Authorization: Bearer <token>')
  const match = /^Bearer +([^\s]+)$/i.exec(header)
  if (!match?.[1]) throw new BrokerError('invalid_token', 'expected the header Authorization: Bearer <token>')
  return match[1]
}

/** A header that Node joins when it is given twice would be read as one by us and as two by a proxy: refused. */
function headerOf(request: IncomingMessage, name: string): string | null {
  const values = request.headersDistinct[name]
  if (values === undefined) return null
  if (values.length !== 1) throw new BrokerError('invalid_token', `the header ${name} is given more than once`)
  return values[0] ?? null
}

/** Chooses the verifier by the unverified `typ`; the verifier then reads the whole token, strictly. */
function isTaskToken(token: string): boolean {
  // A text without any dot is no JWT; ours have a header of some dozen characters.
  const end = token.indexOf('.')
  if (end < 0 || end > 1024) return false
  const header = token.slice(0, end)
  try {
    const { typ } = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as { typ?: unknown }
    return typeof typ === 'string' && typ.toLowerCase() === taskTokenType
  } catch {
    return false
  }
}
