// Rows of test/vectors/attacks.json → tokens. A row changes one valid token; unless it says otherwise, what comes out is signed
// by the real issuer over exactly those bytes, so that a refusal is never for want of a signature.
import { createHmac, createPublicKey, generateKeyPairSync, type JsonWebKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { OidcIssuer } from '../../scripts/servers/stand-ins/oidc-issuer.js'

/** `{ "$now": 31 }` is a date that many seconds from now. */
type Members = Readonly<Record<string, unknown>>

export interface Attack {
  readonly name: string
  /** RFC section, CVE or the page of ours that the row comes from. */
  readonly source: string
  /** Over the header and claims of the valid token; null removes nothing, `without` does. */
  readonly header?: Members
  readonly claims?: Members
  readonly without?: readonly string[]
  /** JSON text in place of either; `@members@` are the valid one's, without braces; `@5000*x@` is x 5,000 times. */
  readonly headerText?: string
  readonly payloadText?: string
  /** The text's characters are its bytes, instead of UTF-8. */
  readonly latin1?: boolean
  readonly signature?:
    | 'none'
    | 'noise'
    | 'zero'
    | 'order'
    | 'der'
    | 'hmac-pem'
    | 'hmac-jwk'
    | 'hmac-empty'
    | 'other-key'
  /** How the parts are put together; `@h@.@p@.@s@` unless given. */
  readonly text?: string
  readonly code: 'invalid_token' | 'accepted'
  readonly detail?: string
  /** What differs over HTTP: another status and detail, or null where it cannot be sent or its second would matter. */
  readonly http?: { readonly status: number; readonly detail?: string } | null
}

const file = new URL('../vectors/attacks.json', import.meta.url)
export const attacks: readonly Attack[] = JSON.parse(readFileSync(file, 'utf8'))

export interface Ground {
  readonly issuer: OidcIssuer
  /** What the valid token says, beside iss, iat and exp. */
  readonly claims: Members
  /** Epoch seconds. */
  readonly now: number
}

const encode = (text: string, encoding: BufferEncoding = 'utf8') => Buffer.from(text, encoding).toString('base64url')
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
// The order of P-256: a verifier that reduces it to zero divides by nothing and says yes.
const order = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'

/** Makes the row's token. */
export async function buildAttack(attack: Attack, ground: Ground): Promise<string> {
  const jwk = await publicKeyOf(ground.issuer)
  const header = members({ alg: 'ES256', kid: jwk.kid, typ: 'JWT' }, attack.header, attack, ground)
  const valid = { iss: ground.issuer.issuer, iat: ground.now, exp: ground.now + 300, ...ground.claims }
  const payload = members(valid, attack.claims, attack, ground)
  const encoding = attack.latin1 ? 'latin1' : 'utf8'
  const h = encode(fill(attack.headerText ?? '{@members@}', { members: header }), encoding)
  const p = encode(fill(attack.payloadText ?? '{@members@}', { members: payload }), encoding)
  const s = await signatureOf(attack.signature, `${h}.${p}`, ground.issuer, jwk)
  return fill(attack.text ?? '@h@.@p@.@s@', { h, p, s })
}

async function publicKeyOf(issuer: OidcIssuer): Promise<JsonWebKey & { kid: string }> {
  const { keys } = (await (await fetch(`${issuer.issuer}/jwks`)).json()) as { keys: (JsonWebKey & { kid: string })[] }
  const [first] = keys
  if (first === undefined) throw new Error('the issuer publishes no key')
  return first
}

function members(valid: Members, changes: Members = {}, { without = [] }: Attack, ground: Ground): string {
  const resolved = Object.entries({ ...valid, ...changes })
    .filter(([name]) => !without.includes(name))
    .map(([name, value]) => [name, resolve(value, ground)])
  return JSON.stringify(Object.fromEntries(resolved)).slice(1, -1)
}

function resolve(value: unknown, { issuer, claims, now }: Ground): unknown {
  if (typeof value === 'string') return fill(value, { iss: issuer.issuer, aud: String(claims.aud) })
  if (Array.isArray(value)) return value.map((item) => resolve(item, { issuer, claims, now }))
  const isDate = typeof value === 'object' && value !== null && '$now' in value
  return isDate ? now + Number(value.$now) : value
}

function fill(template: string, names: Readonly<Record<string, string>>): string {
  return template
    .replaceAll(/@(\d+)\*([^@]+)@/g, (_all, count: string, text: string) => text.repeat(Number(count)))
    .replaceAll(/@([a-z]+)@/g, (all, name: string) => names[name] ?? all)
}

async function signatureOf(how: Attack['signature'], input: string, issuer: OidcIssuer, jwk: JsonWebKey) {
  const hmac = (secret: string | Buffer) => createHmac('sha256', secret).update(input).digest('base64url')
  const genuine = async () => Buffer.from(await issuer.signText(input), 'base64url')
  switch (how) {
    case undefined:
      return (await genuine()).toString('base64url')
    case 'none':
      return ''
    case 'noise':
      return encode('a signature that nobody made, of sixty-four bytes, as ES256 has.')
    case 'zero':
      return Buffer.alloc(64).toString('base64url')
    case 'order':
      return Buffer.from(order + order, 'hex').toString('base64url')
    case 'der':
      return derOf(await genuine()).toString('base64url')
    case 'hmac-pem':
      return hmac(createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }))
    case 'hmac-jwk':
      return hmac(JSON.stringify(jwk))
    case 'hmac-empty':
      return hmac('')
    case 'other-key':
      return sign('sha256', Buffer.from(input), { key: pair.privateKey, dsaEncoding: 'ieee-p1363' }).toString(
        'base64url',
      )
  }
}

/** The same two numbers as ASN.1 has them: what most libraries outside JOSE make, and some verifiers take. */
function derOf(raw: Buffer): Buffer {
  const number = (bytes: Buffer) => Buffer.concat([Buffer.from([2, bytes.length + 1, 0]), bytes])
  const body = Buffer.concat([number(raw.subarray(0, 32)), number(raw.subarray(32))])
  return Buffer.concat([Buffer.from([0x30, body.length]), body])
}
