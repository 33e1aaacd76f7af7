// An agent shows the same live token with each step. What was verified once is remembered by the token's hash alone, for as
// long as its key and its issuer's settings stand: a reload makes a new pool, refreshed keys are other keys, and the times are
// checked at each presentation. Only verified tokens get in, so that a flood of others pushes nobody out.
import { sha256Hex } from '../core/hash.js'
import type { Issuer, TokenTerms, Verified } from './issuer.js'
import type { PublicKey } from './key-set.js'
import { bindPrincipal, type PresentedKeys, type VouchedKeys } from './presented-keys.js'
import type { Principal } from './principal.js'
import { maxTokenCharacters, type RawToken } from './raw-token.js'

const maxRemembered = 4096

interface Remembered {
  readonly issuer: Issuer
  readonly terms: TokenTerms
  readonly key: PublicKey
  readonly principal: Principal
  readonly vouched: VouchedKeys
}

export interface RememberedTokens {
  /**
   * Whom the token speaks for with the keys of this request, when it was verified before and still would be. Throws as
   * Issuer.authenticate does.
   */
  find(tokenText: string, presented?: PresentedKeys): Promise<Principal | null>
  add(token: RawToken, issuer: Issuer, verified: Verified): void
}

/** A memory of at most some thousand tokens; the one verified longest ago gives way. */
export function createRememberedTokens(): RememberedTokens {
  const byHash = new Map<string, Remembered>()
  return {
    async find(tokenText, presented = {}) {
      // Hashing two megabytes costs more than refusing them.
      if (tokenText.length > maxTokenCharacters) return null
      const hash = sha256Hex(tokenText)
      const known = byHash.get(hash)
      if (known === undefined) return null
      if (await known.issuer.stands(known.terms, known.key))
        return bindPrincipal(known.principal, known.vouched, presented)
      byHash.delete(hash)
      return null
    },
    add({ sha256, header, payload }, issuer, { principal, key, vouched }) {
      for (const oldest of byHash.size < maxRemembered ? [] : byHash.keys()) {
        byHash.delete(oldest)
        break
      }
      byHash.set(sha256, { issuer, terms: { header, payload }, key, principal, vouched })
    },
  }
}
