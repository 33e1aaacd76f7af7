// What one issuer makes of a token, step by step: the broker takes the steps until one refuses, `token explain` takes all.
import { nameLaterRefusals, nameRefusals, runCheck, type TokenCheck } from './checks.js'
import type { PublicKey } from './key-set.js'
import { checkPossession, type PresentedKeys, type VouchedKeys } from './presented-keys.js'
import type { Principal } from './principal.js'
import type { RawToken } from './raw-token.js'
import { verifySignature } from './token-checks.js'

export interface IssuerChecks {
  /** Before a key is looked at, cheap ones first. */
  readonly before: readonly TokenCheck[]
  /** The keys that the issuer ties the token to. Throws `invalid_token` where that is not understood. */
  vouched(token: RawToken): VouchedKeys
  /** The keys that may have signed. Throws `invalid_token` when there are none such, `issuer_unavailable`. */
  findKeys(token: RawToken): Promise<readonly PublicKey[]>
  /** Once the signature is good. */
  readonly after: readonly TokenCheck[]
  /** Throws `invalid_token` when a claim that tells callers apart is missing. */
  derive(token: RawToken): Principal
}

/** Takes every step in turn. Throws as `Issuer.authenticate` does. */
export async function authenticateBy(
  checks: IssuerChecks,
  token: RawToken,
  presented: PresentedKeys = {},
): Promise<{ principal: Principal; key: PublicKey; vouched: VouchedKeys }> {
  for (const one of checks.before) runCheck(one, token)
  const vouched = checks.vouched(token)
  nameRefusals('binding', () => checkPossession(vouched, presented))
  const keys = await nameLaterRefusals('key', () => checks.findKeys(token))
  const key = await nameLaterRefusals('signature', () => verifySignature(token, keys))
  for (const one of checks.after) runCheck(one, token)
  return { principal: nameRefusals('principal', () => checks.derive(token)), key, vouched }
}
