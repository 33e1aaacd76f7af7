// Keys that callers prove with DPoP, and proofs in every shape: whole, and broken in one place.
import { randomUUID } from 'node:crypto'
import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { accessTokenHash } from '../../src/identity/dpop-proof.js'

export interface ProvingKey {
  readonly alg: string
  readonly publicJwk: JWK
  readonly privateJwk: JWK
  readonly jkt: string
  readonly privateKey: CryptoKey
}

export async function createProvingKey(alg = 'ES256', modulusLength = 2048): Promise<ProvingKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true, modulusLength })
  const [publicJwk, privateJwk] = [await exportJWK(publicKey), await exportJWK(privateKey)]
  return { alg, publicJwk, privateJwk, privateKey, jkt: await calculateJwkThumbprint(publicJwk) }
}

export interface ProofShape {
  readonly method?: string
  readonly url: string
  readonly token: string
  /** Milliseconds; now unless told. */
  readonly at?: number
  /** Members over those of a good proof; undefined ones are left out. */
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
}

export function makeProof(key: ProvingKey, { method = 'GET', url, token, at, claims, header }: ProofShape) {
  const iat = Math.floor((at ?? Date.now()) / 1000)
  const whole = { jti: randomUUID(), htm: method, htu: url, iat, ath: accessTokenHash(token), ...claims }
  const kept = Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined))
  const members = { typ: 'dpop+jwt', alg: key.alg, jwk: key.publicJwk, ...header }
  return new SignJWT(kept)
    .setProtectedHeader(JSON.parse(JSON.stringify(members)) as { alg: string })
    .sign(key.privateKey)
}

const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** The same ES256 token with the other signature that is as good: (r, s) becomes (r, n - s). */
export function malleated(token: string): string {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`)
  const other = Buffer.from(s.toString(16).padStart(64, '0'), 'hex')
  return `${header}.${payload}.${Buffer.concat([bytes.subarray(0, 32), other]).toString('base64url')}`
}
