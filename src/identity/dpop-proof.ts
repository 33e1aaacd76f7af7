// A DPoP proof (RFC 9449 section 4.3), checked in all its members. It says that whoever sends this request, with this token,
// holds a key. It says nothing about whose key that is: only the token's issuer can (presented-keys.ts).
import { createHash } from 'node:crypto'
import { calculateJwkThumbprint, compactVerify, type JWK } from 'jose'
import type { Clock } from '../core/clock.js'
import { BrokerError } from '../core/errors.js'
import { equalInConstantTime } from '../core/hash.js'
import type { DpopNonces } from './dpop-nonce.js'
import { type PublicKey, parseKeySet, signatureAlgorithms } from './key-set.js'
import { parseRawToken, quoted, type RawToken } from './raw-token.js'
import { normalizeTargetUri } from './target-uri.js'

export interface DpopRules {
  /** The configured URL of ours. Never the Host header: that is the caller's word. */
  readonly baseUrl: string
  /** How old a proof may be by its `iat`. */
  readonly maxAgeSeconds: number
  /** Null: proofs need none. */
  readonly nonces: DpopNonces | null
}

/** The request that the proof has to be for. */
export interface ProvenRequest {
  readonly method: string
  /** As received; query and fragment do not count. */
  readonly path: string
  readonly token: string
}

/** What may be done once, under which name, and how long that has to be remembered. */
export interface SingleUse {
  readonly digest: string
  /** Epoch milliseconds. */
  readonly until: number
}

export interface Proof {
  /** RFC 7638 thumbprint of the key. */
  readonly jkt: string
  /** Its `jti`: whoever takes the proof has to claim it first, once for all brokers. */
  readonly use: SingleUse
}

const futureToleranceSeconds = 30
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/** Checks the proof and answers whose key it shows. Throws `invalid_token`, or `use_dpop_nonce` with a fresh nonce. */
export async function verifyProof(
  text: string,
  request: ProvenRequest,
  rules: DpopRules,
  clock: Clock,
): Promise<Proof> {
  const proof = parseProof(text)
  const { alg, typ } = proof.header
  // RFC 8725 section 3.11: no other JWT of the same key may pass as a proof.
  if (typ !== 'dpop+jwt') throw refusedProof(`its typ is ${quoted(typ)}, expected "dpop+jwt"`)
  if (!signatureAlgorithms.includes(alg)) throw refusedProof(`its alg ${quoted(alg)} is not allowed`)
  const key = parseProofKey(proof)
  checkRequest(proof, request, rules.baseUrl)
  const { iat } = checkAge(proof, rules, clock)
  const jti = checkIdentifier(proof)
  await verifyProofSignature(text, alg, key)
  checkNonce(proof, rules.nonces)
  const jkt = await thumbprintOf(key)
  const digest = createHash('sha256').update(`${jkt}\0${jti}`).digest('base64url')
  return { jkt, use: { digest, until: (iat + rules.maxAgeSeconds) * 1000 } }
}

/** Base64url of the token's SHA-256, as `ath` has it. */
export function accessTokenHash(token: string): string {
  return createHash('sha256').update(token, 'ascii').digest('base64url')
}

/** The challenge of a 401 to whoever came with DPoP (RFC 9449 section 7.1). */
export function dpopChallenge(error: 'invalid_token' | 'invalid_dpop_proof' | 'use_dpop_nonce'): string {
  return `DPoP error="${error}", algs="${signatureAlgorithms.join(' ')}"`
}

function refusedProof(why: string, cause?: unknown): BrokerError {
  const headers = { 'www-authenticate': dpopChallenge('invalid_dpop_proof') }
  const extras = cause === undefined ? { headers } : { headers, cause }
  return new BrokerError('invalid_token', `the DPoP proof is refused: ${why}`, extras)
}

/** The same strict reading that subject tokens get: one text, one meaning. */
function parseProof(text: string): RawToken {
  try {
    return parseRawToken(text)
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    throw refusedProof(error.detail.replace(/^the token's/, 'its').replace(/^the token /, 'it '))
  }
}

/** The key in the header: public, of a kind that fits the algorithm, and as strong as an issuer's would have to be. */
function parseProofKey({ header, headerMembers }: RawToken): PublicKey {
  const { jwk } = headerMembers
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) throw refusedProof('its header has no "jwk"')
  // Whoever sends a private key has given it away; taking it would teach them that this is fine.
  if (privateMembers.some((name) => Object.hasOwn(jwk, name))) throw refusedProof('its "jwk" is not a public key')
  const { keys, skipped } = parseKeySet({ keys: [jwk] }, 'sig')
  const [key] = keys
  if (key === undefined) throw refusedProof(`its "jwk" cannot be used${skipped.map((why) => ` (${why})`).join('')}`)
  if (!key.algorithms.includes(header.alg)) throw refusedProof(`its "jwk" does not fit alg ${quoted(header.alg)}`)
  return key
}

function checkRequest({ claims }: RawToken, { method, path, token }: ProvenRequest, baseUrl: string): void {
  const { htm, htu, ath } = claims
  if (htm !== method) throw refusedProof(`its htm is ${quoted(htm)}, the method is ${method}`)
  const expected = normalizeTargetUri(`${baseUrl}${path.replace(/[?#].*$/s, '')}`)
  const seen = typeof htu === 'string' ? normalizeTargetUri(htu) : null
  if (seen === null || seen !== expected) {
    throw refusedProof(`its htu is ${quoted(htu)}, expected ${quoted(expected ?? baseUrl)}`)
  }
  if (typeof ath !== 'string' || !equalInConstantTime(ath, accessTokenHash(token))) {
    throw refusedProof('its ath is not the hash of the token it came with')
  }
}

function checkAge({ payload }: RawToken, { maxAgeSeconds }: DpopRules, clock: Clock): { iat: number } {
  const { iat, exp, nbf } = payload
  const now = clock.now() / 1000
  if (iat === undefined) throw refusedProof('it has no "iat"')
  if (iat > now + futureToleranceSeconds)
    throw refusedProof(`it was made ${Math.ceil(iat - now)} seconds in the future`)
  if (now - iat > maxAgeSeconds) {
    throw refusedProof(`it was made ${Math.ceil(now - iat)} seconds ago; at most ${maxAgeSeconds} allowed`)
  }
  // A proof needs neither; one that has them is held to them.
  if (exp !== undefined && exp <= now) throw refusedProof('it has expired ("exp")')
  if (nbf !== undefined && nbf > now + futureToleranceSeconds) throw refusedProof('it is not valid yet ("nbf")')
  return { iat }
}

function checkIdentifier({ payload: { jti } }: RawToken): string {
  if (jti === undefined || jti === '') throw refusedProof('it has no "jti"')
  if (jti.length > 256) throw refusedProof('its jti is longer than 256 characters')
  return jti
}

async function verifyProofSignature(text: string, alg: string, { key }: PublicKey): Promise<void> {
  try {
    await compactVerify(text, key, { algorithms: [alg] })
  } catch (cause) {
    throw refusedProof('its signature does not verify with its "jwk"', cause)
  }
}

function checkNonce({ claims: { nonce } }: RawToken, nonces: DpopNonces | null): void {
  if (nonces === null || (typeof nonce === 'string' && nonces.isGood(nonce))) return
  const why = nonce === undefined ? 'has no nonce' : 'has a nonce that is not, or no longer, ours'
  throw new BrokerError('use_dpop_nonce', `the DPoP proof ${why}: repeat the request with the nonce given here`, {
    headers: { 'dpop-nonce': nonces.current(), 'www-authenticate': dpopChallenge('use_dpop_nonce') },
  })
}

/** Of the key as we write it, not as it was spelled: one key has one thumbprint. */
function thumbprintOf({ key }: PublicKey): Promise<string> {
  return calculateJwkThumbprint(key.export({ format: 'jwk' }) as JWK, 'sha256')
}
