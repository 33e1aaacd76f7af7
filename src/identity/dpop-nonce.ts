// Nonces for DPoP proofs (RFC 9449 section 8): what bounds how early a proof can be made. Stateless, so that any broker takes
// what another gave: the running five minutes under a key that all brokers of a deployment share.
import { createHmac, hkdfSync } from 'node:crypto'
import type { Clock } from '../core/clock.js'
import { equalInConstantTime } from '../core/hash.js'
import type { Secret } from '../core/secret.js'

export interface DpopNonces {
  current(): string
  /** Of the running or the last period, by any of our keys. */
  isGood(nonce: string): boolean
}

const periodMs = 300_000

/** `keys`: as `keys.sealing` has them, a comma-separated list while rotating; the first makes nonces, all of them are taken. */
export function createDpopNonces(keys: Secret, deployment: string, clock: Clock): DpopNonces {
  const known = keys
    .reveal()
    .split(',')
    .map((text) => {
      // Its own key: what sealing does with the same secret must never make a nonce, nor the reverse.
      const secret = Buffer.from(text.trim(), 'base64')
      return Buffer.from(hkdfSync('sha256', secret, '', `hallpass dpop nonce ${deployment}`, 32))
    })
  const nonceOf = (key: Buffer, period: number) =>
    createHmac('sha256', key).update(String(period)).digest().subarray(0, 18).toString('base64url')
  const period = () => Math.floor(clock.now() / periodMs)
  return {
    current() {
      const [first] = known
      if (first === undefined) throw new Error('no key to make nonces with')
      return nonceOf(first, period())
    },
    isGood(nonce) {
      const now = period()
      return known.some((key) => [now, now - 1].some((at) => equalInConstantTime(nonceOf(key, at), nonce)))
    },
  }
}
