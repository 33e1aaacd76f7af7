// What is refused before a key is looked at: everything jose 6.2 lets through that two readers could read differently
// (RFC 8725 sections 2 and 3). Trusts nothing; answers only "this text is one well-formed JWT, and it says this".
import { isUtf8 } from 'node:buffer'
import type { BrokerError } from '../core/errors.js'
import { sha256Hex } from '../core/hash.js'
import { Secret } from '../core/secret.js'
import { JsonTextError, parseStrictJson } from '../core/strict-json.js'
import { TokenRefusal } from './token-refusal.js'

/** Nothing longer is decoded, hashed or looked at in any other way. */
export const maxTokenCharacters = 16 * 1024
// 9999-12-31: a date beyond it is in milliseconds or nonsense, and would make a token that never ends.
const lastDate = 253_402_300_799

interface TokenHeader {
  readonly alg: string
  readonly kid: string | undefined
  readonly typ: string | undefined
}

/** The registered claims, by type. Unverified until an issuer has authenticated the token. */
interface RegisteredClaims {
  readonly iss: string | undefined
  readonly sub: string | undefined
  readonly jti: string | undefined
  /** Empty when the token names none. */
  readonly aud: readonly string[]
  /** Epoch seconds. */
  readonly exp: number | undefined
  readonly nbf: number | undefined
  readonly iat: number | undefined
}

export interface RawToken {
  readonly text: Secret
  /** Header and payload without the signature: the same however a signature is respelled. */
  readonly signingInput: string
  /** Of the whole text, hex: the only trace of a token that is ever written down. */
  readonly sha256: string
  readonly header: TokenHeader
  /** Every header member as it stands; for a DPoP proof's `jwk`, never to find a token's key. */
  readonly headerMembers: Readonly<Record<string, unknown>>
  readonly payload: RegisteredClaims
  /** Every claim as it stands in the token. Read it with own-property checks only. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** A 401 whose detail helps the honest caller. It names checks and claims, never the token. */
export function refusedToken(detail: string, cause?: unknown): BrokerError {
  const short = detail.length > 500 ? `${detail.slice(0, 499)}…` : detail
  return new TokenRefusal('invalid_token', short, cause === undefined ? {} : { cause })
}

// C1 controls, line separators and text direction (CVE-2021-42574): JSON leaves them as they are, and a terminal obeys them.
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu
const escaped = (character: string) => `\\u{${character.codePointAt(0)?.toString(16)}}`

/** A claim's value for a detail: quoted, so that it cannot pass for our own words, and short. */
export function quoted(value: unknown): string {
  const text = (JSON.stringify(value) ?? 'nothing').replace(invisible, escaped)
  return text.length > 120 ? `${text.slice(0, 119)}…` : text
}

/**
 * Parses a compact JWT and refuses whatever is not one in exactly one reading. Costs linear time in at most 16 KiB.
 * Throws BrokerError `invalid_token`.
 */
export function parseRawToken(text: string): RawToken {
  // Size first: nothing below may see a large input.
  if (text.length > maxTokenCharacters) throw refusedToken(`the token is longer than ${maxTokenCharacters} characters`)
  const parts = text.split('.', 6)
  const [headerPart, payloadPart, signaturePart] = parts
  if (parts.length !== 3 || headerPart === undefined || payloadPart === undefined || signaturePart === undefined) {
    throw refusedToken(`the token has ${parts.length > 5 ? 'more than 5' : parts.length} parts, a JWT has three`)
  }
  const header = parsePart('header', headerPart)
  const claims = parsePart('payload', payloadPart)
  decodePart('signature', signaturePart)
  return {
    text: new Secret(text),
    signingInput: `${headerPart}.${payloadPart}`,
    sha256: sha256Hex(text),
    header: parseHeader(header),
    headerMembers: header,
    payload: parseRegisteredClaims(claims),
    claims,
  }
}

function decodePart(name: string, part: string): Buffer {
  if (part === '') throw refusedToken(`the token's ${name} is empty`)
  const bytes = Buffer.from(part, 'base64url')
  // Node skips what it does not know and ignores trailing bits; only a text that comes out the same again is canonical.
  // Otherwise one token would have many spellings, and its hash would not stand for it.
  if (bytes.toString('base64url') !== part) {
    throw refusedToken(`the token's ${name} is not canonical base64url (no padding, no white space)`)
  }
  return bytes
}

function parsePart(name: string, part: string): Record<string, unknown> {
  const bytes = decodePart(name, part)
  if (!isUtf8(bytes)) throw refusedToken(`the token's ${name} is not UTF-8`)
  // Unlike a TextDecoder's, this text keeps a byte order mark, which parseStrictJson then refuses.
  const text = bytes.toString('utf8')
  const value = parseJson(name, text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refusedToken(`the token's ${name} is not a JSON object`)
  }
  // In valid UTF-8 and valid JSON only an escape can write either of them.
  if (text.includes('\\u')) checkStrings(name, value)
  return value as Record<string, unknown>
}

function parseJson(name: string, text: string): unknown {
  try {
    return parseStrictJson(text)
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error
    const member = error.field === '' ? '' : `: ${quoted(error.field)}`
    throw refusedToken(`the token's ${name}${member} ${error.message}`)
  }
}

/** Texts that other programs cut (NUL) or cannot encode (lone surrogates) would make two subjects one. Depth is bounded. */
function checkStrings(where: string, value: unknown): void {
  if (typeof value === 'string') {
    if (value.includes('\u0000')) throw refusedToken(`a string in the token's ${where} contains NUL`)
    if (/\p{Surrogate}/u.test(value)) throw refusedToken(`a string in the token's ${where} contains a lone surrogate`)
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      checkStrings(where, name)
      checkStrings(where, member)
    }
  }
}

function parseHeader(header: Record<string, unknown>): TokenHeader {
  // RFC 7515 section 4.1.11: what is critical and not understood must be refused. We understand no extension at all.
  if (Object.hasOwn(header, 'crit'))
    throw refusedToken('the token\'s header has "crit": no extension is understood here')
  // RFC 7797 section 7: an unencoded payload is not for JWTs, and b64 without crit is read differently by libraries.
  if (Object.hasOwn(header, 'b64')) throw refusedToken('the token\'s header has "b64": a JWT must not')
  // RFC 7516 section 4.1: words of an encrypted token. Who obeys them reads another content than who does not.
  for (const name of ['enc', 'zip']) {
    if (Object.hasOwn(header, name)) throw refusedToken(`the token's header has "${name}": a signed JWT must not`)
  }
  // jku, x5u, x5c and jwk say where the sender would like us to look for keys; they are not read anywhere.
  const alg = optionalString(header, 'alg', 'header')
  if (alg === undefined) throw refusedToken('the token\'s header names no "alg"')
  return { alg, kid: optionalString(header, 'kid', 'header'), typ: optionalString(header, 'typ', 'header') }
}

function parseRegisteredClaims(claims: Record<string, unknown>): RegisteredClaims {
  return {
    iss: optionalString(claims, 'iss', 'payload'),
    sub: optionalString(claims, 'sub', 'payload'),
    jti: optionalString(claims, 'jti', 'payload'),
    aud: audiences(claims),
    exp: optionalDate(claims, 'exp'),
    nbf: optionalDate(claims, 'nbf'),
    iat: optionalDate(claims, 'iat'),
  }
}

function optionalString(object: Record<string, unknown>, name: string, where: string): string | undefined {
  if (!Object.hasOwn(object, name)) return undefined
  const value = object[name]
  if (typeof value !== 'string') throw refusedToken(`"${name}" in the token's ${where} is not a string`)
  return value
}

function audiences(claims: Record<string, unknown>): readonly string[] {
  if (!Object.hasOwn(claims, 'aud')) return []
  const value = claims.aud
  if (typeof value === 'string') return [value]
  if (!Array.isArray(value) || !value.every((item): item is string => typeof item === 'string')) {
    throw refusedToken('"aud" in the token\'s payload is neither a string nor a list of strings')
  }
  return value
}

function optionalDate(claims: Record<string, unknown>, name: string): number | undefined {
  if (!Object.hasOwn(claims, name)) return undefined
  const value = claims[name]
  // 1e999 is JSON and parses to Infinity.
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw refusedToken(`"${name}" in the token's payload is not a finite number`)
  }
  if (value < 0 || value > lastDate)
    throw refusedToken(`"${name}" in the token's payload is not a date in epoch seconds`)
  return value
}
