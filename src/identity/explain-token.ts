// A token through every check that the broker makes, and on after the first refusal. It answers what the broker would say and
// why; it proves nothing to anybody, so its principal is for reading only.
import { BrokerError } from '../core/errors.js'
import type { TokenCheck } from './checks.js'
import type { Issuer } from './issuer.js'
import type { IssuerChecks } from './issuer-checks.js'
import { checkNotOwn, chooseIssuer } from './issuer-pool.js'
import type { PublicKey } from './key-set.js'
import type { Principal } from './principal.js'
import { parseRawToken, quoted, type RawToken } from './raw-token.js'
import { verifySignature } from './token-checks.js'
import type { CheckName } from './token-refusal.js'

export interface CheckResult {
  readonly check: CheckName
  readonly result: 'pass' | 'fail' | 'not_made'
  /** What would pass. */
  readonly expected: string
  /** What the token says, shortened; null: nothing, or it was not looked at. */
  readonly seen: string | null
  /** Why it failed, in the words of the 401, or was not made. */
  readonly detail: string | null
}

export interface Explanation {
  /** `undecided`: nothing failed, and not everything could be checked. */
  readonly verdict: 'accepted' | 'refused' | 'undecided'
  /** The name of the issuer that was chosen. */
  readonly issuer: string | null
  readonly checks: readonly CheckResult[]
  /** Whom the token would speak for, when its claims say; proven only with the verdict `accepted`. */
  readonly principal: Principal | null
}

interface Means {
  readonly issuers: readonly Issuer[]
  readonly ourIssuer: string
  /** Why this issuer's keys are not looked up; null: they are. */
  keysWithheld(issuer: Issuer): string | null
}

const formExpected = 'one JWT in one reading: three canonical parts, JSON objects, at most 16 KiB'

/** Runs the checks. Throws only what is no refusal and no outage. */
export async function explainToken(text: string, means: Means): Promise<Explanation> {
  const form = attempt(() => parseRawToken(text))
  if ('error' in form) return conclude(null, [failed('form', formExpected, `${text.length} characters`, form.error)])
  const token = form.value
  const rows = [passed('form', formExpected, `${text.length} characters`)]
  rows.push(toRow(ownCheck(means.ourIssuer), token))
  const chosen = attempt(() => chooseIssuer(means.issuers, token))
  const origin = quoted(originOf(token))
  if ('error' in chosen)
    return conclude(null, [...rows, failed('issuer', describeIssuers(means.issuers), origin, chosen.error)])
  const { name, checks } = chosen.value
  rows.push(passed('issuer', name, origin))
  rows.push(...checks.before.map((one) => toRow(one, token)))
  rows.push(...(await explainSignature(checks, token, means.keysWithheld(chosen.value))))
  rows.push(...checks.after.map((one) => toRow(one, token)))
  const derived = attempt(() => checks.derive(token))
  const [expected, sub] = ['sub, and every claim that tells callers apart', seenOf(token.payload.sub)]
  if ('error' in derived) return conclude(name, [...rows, failed('principal', expected, sub, derived.error)])
  return conclude(name, [...rows, passed('principal', expected, sub)], derived.value)
}

async function explainSignature(checks: IssuerChecks, token: RawToken, withheld: string | null) {
  const { alg, kid } = token.header
  const key = ['key', 'a usable key of the issuer', `alg ${quoted(alg)}, kid ${quoted(kid)}`] as const
  const signature = ['signature', "by one of the issuer's keys", null] as const
  if (withheld !== null) return [notMade(...key, withheld), notMade(...signature, withheld)]
  const found = await attemptLater(() => checks.findKeys(token))
  if ('error' in found) {
    const { error } = found
    const row = error.code === 'issuer_unavailable' ? notMade(...key, reasonFor(error)) : failed(...key, error)
    return [row, notMade(...signature, 'there is no key to check it with')]
  }
  return [passed(...key), await explainVerification(token, found.value, signature)]
}

async function explainVerification(
  token: RawToken,
  keys: readonly PublicKey[],
  row: readonly ['signature', string, null],
): Promise<CheckResult> {
  const verified = await attemptLater(() => verifySignature(token, keys))
  return 'error' in verified ? failed(...row, verified.error) : passed(...row)
}

function ownCheck(ourIssuer: string): TokenCheck {
  return {
    name: 'own_token',
    expected: 'not signed by Hallpass itself',
    seen: ({ payload }) => payload.iss,
    check: (token) => checkNotOwn(token, ourIssuer),
  }
}

function toRow(one: TokenCheck, token: RawToken): CheckResult {
  const seen = seenOf(one.seen(token))
  const ran = attempt(() => one.check(token))
  return 'error' in ran ? failed(one.name, one.expected, seen, ran.error) : passed(one.name, one.expected, seen)
}

const passed = (check: CheckName, expected: string, seen: string | null): CheckResult => ({
  check,
  result: 'pass',
  expected,
  seen,
  detail: null,
})
const failed = (check: CheckName, expected: string, seen: string | null, error: BrokerError): CheckResult => ({
  check,
  result: 'fail',
  expected,
  seen,
  detail: error.detail,
})
const notMade = (check: CheckName, expected: string, seen: string | null, detail: string): CheckResult => ({
  check,
  result: 'not_made',
  expected,
  seen,
  detail,
})

function conclude(issuer: string | null, checks: CheckResult[], principal: Principal | null = null): Explanation {
  const refused = checks.some(({ result }) => result === 'fail')
  const whole = checks.every(({ result }) => result === 'pass')
  return { verdict: refused ? 'refused' : whole ? 'accepted' : 'undecided', issuer, checks, principal }
}

type Attempt<T> = { readonly value: T } | { readonly error: BrokerError }

function attempt<T>(work: () => T): Attempt<T> {
  try {
    return { value: work() }
  } catch (error) {
    if (error instanceof BrokerError) return { error }
    throw error
  }
}

async function attemptLater<T>(work: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { value: await work() }
  } catch (error) {
    if (error instanceof BrokerError) return { error }
    throw error
  }
}

const reasonFor = ({ detail, cause }: BrokerError) => (cause instanceof Error ? `${detail}: ${cause.message}` : detail)
const seenOf = (value: unknown) => (value === undefined ? null : quoted(value))

function originOf({ payload: { iss, sub, aud } }: RawToken) {
  return { iss, ...(iss === undefined ? { sub } : {}), aud }
}

function describeIssuers(issuers: readonly Issuer[]): string {
  const known = issuers.map(({ name, accepts: { origin } }) => {
    return 'iss' in origin ? `${name} (iss ${quoted(origin.iss)})` : `${name} (sub in ${origin.trustDomain})`
  })
  return known.length === 0 ? 'no issuer is configured' : known.join(', ')
}
