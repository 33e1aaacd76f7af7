// A SPIFFE trust domain with a real key: signs JWT-SVIDs and gives the bundle that verifies them. For demo and tests,
// where no SPIRE server runs; tokens of a real one are in test/fixtures/spire.
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { type Clock, systemClock } from '../../../src/core/clock.js'

export interface SvidOptions {
  /** Seconds; five minutes by default, as SPIRE. */
  readonly ttl?: number
}

export interface SpiffeDomain {
  readonly trustDomain: string
  /** The SPIFFE bundle as JSON text, for a file. */
  readonly bundle: string
  /** A JWT-SVID for `spiffe://<trust domain><path>`. */
  signJwtSvid(path: string, audience: string | string[], options?: SvidOptions): Promise<string>
}

/** Makes a trust domain with one ES256 key. */
export async function createSpiffeDomain(trustDomain: string, clock: Clock = systemClock): Promise<SpiffeDomain> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const kid = `${trustDomain}-jwt-1`
  const key = { ...(await exportJWK(publicKey)), kid, use: 'jwt-svid' }
  return {
    trustDomain,
    bundle: JSON.stringify({ keys: [key], spiffe_sequence: 1, spiffe_refresh_hint: 300 }, null, 2),
    signJwtSvid(path, audience, { ttl = 300 } = {}) {
      const now = Math.floor(clock.now() / 1000)
      // SPIRE writes `aud` as a list and no `iss`.
      const claims = { sub: `spiffe://${trustDomain}${path}`, aud: [audience].flat(), iat: now, exp: now + ttl }
      return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' }).sign(privateKey)
    },
  }
}
