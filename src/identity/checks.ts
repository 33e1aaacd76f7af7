// Every check of a token has a name. The broker stops at the first refusal and counts it by that name; `hallpass token
// explain` runs the same list and shows each. There is no second implementation of any of them.
import type { PresentedKeys } from './presented-keys.js'
import type { RawToken } from './raw-token.js'
import { type CheckName, TokenRefusal } from './token-refusal.js'

/** One check of a token's own words. `On` is what of the token it reads. */
export interface TokenCheck<On = RawToken> {
  readonly name: CheckName
  /** What would pass, for operators: it may show what the configuration requires. */
  readonly expected: string
  /** What the token says; undefined: nothing. */
  seen(token: On): unknown
  /** Throws `invalid_token`. `presented`: the keys that the caller proved with this request. */
  check(token: On, presented?: PresentedKeys): void
}

/** Runs one check, and names its refusal. */
export function runCheck<On>(one: TokenCheck<On>, token: On, presented: PresentedKeys = {}): void {
  nameRefusals(one.name, () => one.check(token, presented))
}

/** Runs `work`, and names its refusal. */
export function nameRefusals<T>(name: CheckName, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof TokenRefusal) error.nameCheck(name)
    throw error
  }
}

/** As `nameRefusals`, for what has to wait. */
export async function nameLaterRefusals<T>(name: CheckName, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof TokenRefusal) error.nameCheck(name)
    throw error
  }
}
