// A JWKS or SPIFFE bundle as the keys that may verify. Each key stands by itself: one that is broken or too weak is
// skipped and named, and never spoils the others.
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'

export interface PublicKey {
  readonly kid: string | undefined
  /** The `alg` values that this key may verify. */
  readonly algorithms: readonly string[]
  readonly key: KeyObject
}

export interface KeySet {
  readonly keys: readonly PublicKey[]
  /** One line per key that was refused, for operators. */
  readonly skipped: readonly string[]
  /** How soon its publisher wants it loaded again, within our bounds; the source's own timing where it says nothing. */
  readonly refreshSeconds?: number
}

/** `sig` for OIDC (or no use at all), `jwt-svid` for SPIFFE bundles, whose entries always state it. */
export type KeyUse = 'sig' | 'jwt-svid'

// A token without kid may be tried against each key of a bundle; a set is bounded so that one token costs little.
const maxKeys = 100

const algorithmsOf: Readonly<Record<string, readonly string[]>> = {
  RSA: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  'P-256': ['ES256'],
  'P-384': ['ES384'],
  'P-521': ['ES512'],
  Ed25519: ['EdDSA', 'Ed25519'],
}

/** Every algorithm an issuer may be configured with: asymmetric ones only. */
export const signatureAlgorithms: readonly string[] = Object.values(algorithmsOf).flat()

/**
 * Reads a JWKS document. An object without usable keys is an empty set (which revokes all); throws an Error only when
 * `document` is no JSON object and so no answer at all.
 */
export function parseKeySet(document: unknown, use: KeyUse): KeySet {
  if (!isObject(document)) throw new Error('is not a JSON object')
  const entries: unknown[] = Array.isArray(document.keys) ? document.keys : []
  const keys: PublicKey[] = []
  const skipped: string[] = []
  entries.forEach((entry, index) => {
    if (isObject(entry) && isForOtherUse(entry, use)) return
    try {
      if (keys.length >= maxKeys) throw new Error(`is beyond the first ${maxKeys}`)
      keys.push(parseKey(entry))
    } catch (error) {
      skipped.push(`key ${index + 1}: ${error instanceof Error ? error.message : 'unreadable'}`)
    }
  })
  return { keys, skipped }
}

/** The keys that may have signed a token with this `alg` and `kid`. */
export function findKeys(set: KeySet, alg: string, kid: string | undefined): readonly PublicKey[] {
  return set.keys.filter((key) => key.algorithms.includes(alg) && (kid === undefined || key.kid === kid))
}

function isForOtherUse(jwk: Record<string, unknown>, use: KeyUse): boolean {
  return use === 'sig' ? jwk.use !== undefined && jwk.use !== 'sig' : jwk.use !== use
}

function parseKey(jwk: unknown): PublicKey {
  if (!isObject(jwk)) throw new Error('is not a JSON object')
  const { kty, kid, crv, alg, key_ops: operations } = jwk
  if (kid !== undefined && typeof kid !== 'string') throw new Error('its kid is not a string')
  // A set that publishes private or shared keys has given them away: whoever reads it could sign.
  if (kty === 'oct' || Object.hasOwn(jwk, 'd')) throw new Error('is not a public key')
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    throw new Error('its key_ops do not include verify')
  }
  const possible = algorithmsOf[kty === 'RSA' ? 'RSA' : typeof crv === 'string' ? crv : ''] ?? []
  const algorithms = alg === undefined ? possible : possible.filter((name) => name === alg)
  if (algorithms.length === 0) throw new Error('its kty, crv and alg fit no supported algorithm')
  const key = importKey(jwk)
  if (kty === 'RSA') checkRsaKey(key)
  return { kid, algorithms, key }
}

function importKey(jwk: Record<string, unknown>): KeyObject {
  try {
    // Node refuses a point off the curve and members that are missing or of another kty.
    return createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
  } catch (cause) {
    throw new Error('is not a readable public key', { cause })
  }
}

function checkRsaKey(key: KeyObject): void {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (modulusLength < 2048) throw new Error(`is an RSA key of ${modulusLength} bits, at least 2048 are needed`)
  // Huge numbers make verification slow: a cost that the issuer would choose and we would pay.
  if (modulusLength > 8192) throw new Error(`is an RSA key of ${modulusLength} bits, at most 8192 are taken`)
  // With exponent 1 the signature is the message: anybody can sign. An even exponent is no RSA key.
  if (publicExponent < 3n || publicExponent % 2n === 0n || publicExponent > 0xffff_ffffn) {
    throw new Error('is an RSA key with an unusable public exponent')
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
