// An OpenID Connect issuer as a real server with real keys, for tests, demo and development. It can be told to misbehave.
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import { type Clock, systemClock } from '../../../src/core/clock.js'
import { type Misbehaviour, misbehave } from './misbehaviour.js'

/** `empty` answers a JSON object without keys. */
export type Behaviour = 'well' | 'empty' | Misbehaviour

export interface OidcIssuerOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number
  /** One key pair per algorithm; the first signs unless told. ES256 alone by default. */
  readonly algorithms?: readonly string[]
  readonly clock?: Clock
}

export type Claims = Readonly<Record<string, unknown>>

export interface SignOptions {
  readonly alg?: string
  /** Another `kid` than the key's own; null leaves it out. */
  readonly kid?: string | null
  /** Protected header members beside alg, kid and typ, or over them. */
  readonly header?: Readonly<Record<string, unknown>>
}

export interface OidcIssuer {
  /** The issuer's URL, exactly as in `iss`. */
  readonly issuer: string
  /** Paths asked for, in order. */
  readonly requests: string[]
  /** Members over those of the discovery document; undefined ones are left out. */
  readonly discovery: Record<string, unknown>
  /** Extra entries published before its own keys, as they are. */
  readonly extraKeys: unknown[]
  behave(behaviour: Behaviour): void
  /** `iss`, `iat` and `exp` (five minutes) are filled in unless given; undefined leaves one out. */
  sign(claims: Claims, options?: SignOptions): Promise<string>
  /** The signature (base64url) over any text at all, with its ES256 key: for tokens that no library would write. */
  signText(text: string): Promise<string>
  /** New keys, and the old ones published no more. */
  rotate(): Promise<void>
  stop(): Promise<void>
}

interface SigningKey {
  readonly alg: string
  readonly privateKey: CryptoKey
  readonly jwk: JWK
  readonly kid: string
}

/** Starts an issuer on a loopback port. */
export async function startOidcIssuer(options: OidcIssuerOptions = {}): Promise<OidcIssuer> {
  const clock = options.clock ?? systemClock
  const algorithms = options.algorithms ?? ['ES256']
  let generation = 1
  let keys = await createKeys(algorithms, generation)
  let behaviour: Behaviour = 'well'
  const requests: string[] = []
  const discovery: Record<string, unknown> = {}
  const extraKeys: unknown[] = []
  const server = createServer((request, response) => {
    requests.push(request.url ?? '')
    if (behaviour === 'empty') return answerJson(response, {})
    if (behaviour !== 'well') return misbehave(behaviour, request, response)
    const documents: Record<string, unknown> = {
      '/.well-known/openid-configuration': { issuer, jwks_uri: `${issuer}/jwks`, ...discovery },
      '/jwks': { keys: [...extraKeys, ...keys.map(({ jwk }) => jwk)] },
    }
    return answerJson(response, documents[request.url ?? ''])
  })
  const issuer = `http://127.0.0.1:${await listen(server, options.port ?? 0)}`
  return {
    issuer,
    requests,
    discovery,
    extraKeys,
    behave: (next) => {
      behaviour = next
    },
    sign: (claims, signOptions = {}) => signToken(keys, { iss: issuer, ...times(clock), ...claims }, signOptions),
    signText: (text) => signText(keys, text),
    rotate: async () => {
      generation += 1
      keys = await createKeys(algorithms, generation)
    },
    stop: () => close(server),
  }
}

function times(clock: Clock): { iat: number; exp: number } {
  const now = Math.floor(clock.now() / 1000)
  return { iat: now, exp: now + 300 }
}

function createKeys(algorithms: readonly string[], generation: number): Promise<SigningKey[]> {
  return Promise.all(
    algorithms.map(async (alg) => {
      const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
      const kid = `${alg.toLowerCase()}-${generation}`
      return { alg, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
    }),
  )
}

function signToken(keys: readonly SigningKey[], claims: Claims, options: SignOptions): Promise<string> {
  const key = options.alg === undefined ? keys[0] : keys.find(({ alg }) => alg === options.alg)
  if (key === undefined) throw new Error(`no key for ${options.alg}`)
  const kid = options.kid === null ? {} : { kid: options.kid ?? key.kid }
  return new SignJWT(claims as JWTPayload)
    .setProtectedHeader({ typ: 'JWT', ...kid, ...options.header, alg: key.alg })
    .sign(key.privateKey)
}

async function signText(keys: readonly SigningKey[], text: string): Promise<string> {
  const key = keys.find(({ alg }) => alg === 'ES256')
  if (key === undefined) throw new Error('no ES256 key')
  const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key.privateKey, Buffer.from(text))
  return Buffer.from(signature).toString('base64url')
}

function answerJson(response: ServerResponse, document: unknown): void {
  response.writeHead(document === undefined ? 404 : 200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(document ?? { error: 'not found' }))
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => (error ? reject(error) : resolve()))
    server.closeAllConnections()
  })
}
