// Hallpass's own signing keys, by purpose and never mixed: nothing that is good for one may be good for another.
import type { JWK, JWTPayload } from 'jose'

/** grants: minted tokens. federation: our own identity towards providers. internal: task tokens, unpublished. audit: checkpoints. */
export type KeyPurpose = 'grants' | 'federation' | 'internal' | 'audit'

export const keyPurposes: readonly KeyPurpose[] = ['grants', 'federation', 'internal', 'audit']

export interface Keyset {
  /** Signs with the current key of the purpose. `typ` becomes the protected header's; ES256. */
  sign(purpose: KeyPurpose, typ: string, claims: JWTPayload): Promise<string>
  /**
   * Verifies a token of ours: signature by any key of the purpose (next too: another instance may have rotated already) and
   * exact `typ`, `iss`, `aud`, and `exp` against `now` (epoch milliseconds). A null audience is not compared: introspection is
   * asked about tokens for others. Throws BrokerError `invalid_token` on anything else.
   */
  verify(
    purpose: KeyPurpose,
    typ: string,
    token: string,
    expected: { issuer: string; audience: string | null; now: number },
  ): Promise<JWTPayload>
  /** Public keys of the purpose: next, current and retired ones, in JWKS form. */
  publicKeys(purpose: KeyPurpose): JWK[]
}
