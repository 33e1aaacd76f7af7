// What one issuer makes of a token, step by step: the broker takes the steps until one refuses, `token explain` takes all.
import { nameLaterRefusals, nameRefusals, runCheck, type TokenCheck } from './checks.js'
import type { PublicKey } from './key-set.js'
import type { PresentedKeys, VouchedKeys } from './presented-keys.js'
import type { Principal } from './principal.js'
import type { RawToken } from './raw-token.js'
import { verifySignature } from './token-checks.js'

export interface IssuerChecks {
  /** Before a key is looked at, cheap ones first. */
  readonly before: readonly TokenCheck[]
  /** The keys that may have signed. Throws `invalid_token` when there are none such, `issuer_unavailable`. */
  findKeys(token: RawToken): Promise<readonly PublicKey[]>
  /** Once the signature is good. */
  readonly after: readonly TokenCheck[]
  /** Throws `invalid_token` when a claim that tells callers apart is missing. */
  derive(token: RawToken): Principal
  /** The keys that the issuer ties the token to. */
  vouched(token: RawToken): VouchedKeys
}

/** Takes every step in turn. Throws as `Issuer.authenticate` does. */
export async function authenticateBy(
  checks: IssuerChecks,
  token: RawToken,
  presented: PresentedKeys,
): Promise<{ principal: Principal; key: PublicKey; vouched: VouchedKeys }> {
  for (const one of checks.before) runCheck(one, token, presented)
  const keys = await nameLaterRefusals('key', () => checks.findKeys(token))
  const key = await nameLaterRefusals('signature', () => verifySignature(token, keys))
  for (const one of checks.after) runCheck(one, token)
  return { principal: nameRefusals('principal', () => checks.derive(token)), key, vouched: checks.vouched(token) }
}
