// Authorization header or client certificate → who is calling. Neither, a broken one or a refused one: 401.
import type { IncomingMessage } from 'node:http'
import { authenticateDelegation, delegationTokenType } from '../broker/delegation-token.js'
import type { Parts } from '../broker/parts.js'
import { taskTokenType, verifyTaskToken } from '../broker/task-token.js'
import { BrokerError } from '../core/errors.js'
import type { ProxyRules } from '../identity/certificate-config.js'
import type { DpopRules } from '../identity/dpop-proof.js'
import type { IssuerPool } from '../identity/issuer-pool.js'
import type { Principal } from '../identity/principal.js'
import type { PresentedCertificate } from '../identity/x509-svid.js'
import { asDpopRefusal, claimUses, type Scheme, verifyCallerProof } from './caller-proof.js'
import { readClientCertificate } from './client-certificate.js'
import { headerOf } from './one-header.js'
import type { Access, Identity } from './route.js'

export interface Authenticator {
  readonly parts: Parts
  issuers(): IssuerPool
  readonly dpop: DpopRules
  /** Who before us may say which client certificate it has seen, or null. */
  readonly proxy: ProxyRules | null
}

/** Throws `invalid_token` (401), `issuer_unavailable` (503), `not_permitted` (403: a workload at an operator's call, or the reverse). */
export async function authenticate(
  on: Authenticator,
  request: IncomingMessage,
  access: Access,
  requestId: string,
): Promise<Identity> {
  if (access === 'public') return { kind: 'nobody', requestId }
  const certificate = readClientCertificate(request, on.proxy)
  if (certificate !== null && request.headersDistinct.authorization === undefined) {
    return identify(request, access, requestId, await authenticateSvid(on, request, certificate))
  }
  const { scheme, token } = readCredentials(request)
  const takesTaskToken = access === 'owner' || access === 'owner_or_operator'
  const ours = scheme === 'bearer' ? typeOf(token) : null
  if (takesTaskToken && ours === taskTokenType)
    return { kind: 'task', task: await verifyTaskToken(on.parts, token), requestId }
  // It stands for a subject token in its one task; who is who, and what else there is, it is not told.
  if ((takesTaskToken || access === 'workload') && ours === delegationTokenType)
    return identify(request, access, requestId, await authenticateDelegation(on.parts, token))
  const principal = await authenticatePrincipal(on, request, { scheme, token }, certificate)
  return identify(request, access, requestId, principal)
}

function identify(request: IncomingMessage, access: Access, requestId: string, principal: Principal): Identity {
  const wrong =
    (access === 'operator' && principal.use !== 'operator') ||
    ((access === 'workload' || access === 'owner') && principal.use !== 'workload')
  const taskToken = headerOf(request, 'hallpass-task-token')
  const identity: Identity = { kind: 'principal', principal, requestId, taskToken, rate: { isCounted: false } }
  if (wrong) throw new NotPermitted(identity, principal.use)
  return identity
}

/** The token's principal with what this request proves besides; whatever is good for one request is used up by it. */
async function authenticatePrincipal(
  on: Authenticator,
  request: IncomingMessage,
  { scheme, token }: { readonly scheme: Scheme; readonly token: string },
  certificate: PresentedCertificate | null,
): Promise<Principal> {
  const { method = '', url: path = '' } = request
  const shown = { scheme, token, method, path, proof: headerOf(request, 'dpop') }
  const proof = await verifyCallerProof(on.parts, on.dpop, shown)
  try {
    const presented = { ...(proof && { jkt: proof.jkt }), ...(certificate && { x5t: certificate.x5t }) }
    const free = await on.issuers().authenticate(token, presented)
    const principal = certificate === null ? free : await on.issuers().bindSvid(free, certificate)
    await claimUses(on.parts, principal, proof)
    return principal
  } catch (error) {
    throw scheme === 'dpop' ? asDpopRefusal(error) : error
  }
}

/** Whoever holds the key of an X.509-SVID needs no token besides. */
async function authenticateSvid(
  on: Authenticator,
  request: IncomingMessage,
  certificate: PresentedCertificate,
): Promise<Principal> {
  if (headerOf(request, 'dpop') !== null) {
    throw new BrokerError('invalid_token', 'a DPoP proof goes with Authorization: DPoP <token>, not a certificate')
  }
  return await on.issuers().authenticateSvid(certificate)
}

/** A verified caller at the wrong door: known well enough to be named in the audit. */
export class NotPermitted extends BrokerError {
  readonly identity: Identity
  constructor(identity: Identity, use: 'workload' | 'operator') {
    super('not_permitted', use === 'workload' ? 'this call is for operators' : 'this call is for workloads')
    this.identity = identity
  }
}

function readCredentials(request: IncomingMessage): { scheme: Scheme; token: string } {
  const header = headerOf(request, 'authorization')
  const [, scheme, token] = (header === null ? null : /^(Bearer|DPoP) +([^\s]+)$/i.exec(header)) ?? []
  if (scheme === undefined || token === undefined)
    throw new BrokerError('invalid_token', 'expected the header Authorization: Bearer <token>')
  return { scheme: scheme.toLowerCase() === 'dpop' ? 'dpop' : 'bearer', token }
}

/** Chooses the verifier by the unverified `typ`; the verifier then reads the whole token, strictly. */
function typeOf(token: string): string | null {
  // A text without any dot is no JWT; ours have a header of some dozen characters.
  const end = token.indexOf('.')
  if (end < 0 || end > 1024) return null
  const header = token.slice(0, end)
  try {
    const { typ } = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as { typ?: unknown }
    return typeof typ === 'string' ? typ.toLowerCase() : null
  } catch {
    return null
  }
}
