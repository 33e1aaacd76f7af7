// What the caller proves besides its token: a key, by DPoP (RFC 9449). Whatever may be used once is claimed here, after
// everything else was checked, so that only verified callers write anything down.
import type { Parts } from '../broker/parts.js'
import { BrokerError } from '../core/errors.js'
import { type DpopRules, dpopChallenge, type Proof, verifyProof } from '../identity/dpop-proof.js'
import type { Principal } from '../identity/principal.js'

export type Scheme = 'bearer' | 'dpop'

export interface ProofOf {
  readonly scheme: Scheme
  readonly token: string
  readonly method: string
  /** The request's target, as received. */
  readonly path: string
  /** The `DPoP` header, or null. */
  readonly proof: string | null
}

/** The proof of this request; null for a bearer. A scheme and a header that do not go together are refused: `invalid_token`. */
export async function verifyCallerProof(parts: Parts, rules: DpopRules, request: ProofOf): Promise<Proof | null> {
  const { scheme, proof } = request
  if (scheme === 'bearer') {
    // Section 7.2: read as a bearer's, a proof that a careless client sends would protect nothing, unseen.
    if (proof !== null) throw challenged('a DPoP proof goes with Authorization: DPoP <token>, not Bearer')
    return null
  }
  if (proof === null) throw challenged('Authorization: DPoP goes with a proof in the header DPoP')
  return await verifyProof(proof, request, rules, parts.clock)
}

/** Claims the proof and, of an issuer with `single_use`, the token. Throws `invalid_token` when either was used before. */
export async function claimUses({ ledger }: Parts, principal: Principal, proof: Proof | null): Promise<void> {
  if (proof !== null && !(await ledger.claimOnce('proof', proof.use.digest, proof.use.until))) {
    throw challenged('the DPoP proof was already used: its jti is good for one request', 'invalid_dpop_proof')
  }
  const { tokenUse } = principal
  if (tokenUse !== undefined && !(await ledger.claimOnce('token', tokenUse.digest, tokenUse.until))) {
    throw new BrokerError('invalid_token', "the token was already used: this issuer's tokens are good for one request")
  }
}

/** Whoever came with DPoP is challenged with DPoP, whatever was wrong. */
export function asDpopRefusal(error: unknown): unknown {
  const isPlain =
    error instanceof BrokerError && error.code === 'invalid_token' && !('www-authenticate' in error.headers)
  return isPlain ? challenged(error.detail, 'invalid_token', error.cause) : error
}

function challenged(
  detail: string,
  error: 'invalid_token' | 'invalid_dpop_proof' = 'invalid_dpop_proof',
  cause?: unknown,
): BrokerError {
  const headers = { 'www-authenticate': dpopChallenge(error) }
  return new BrokerError('invalid_token', detail, cause === undefined ? { headers } : { headers, cause })
}
