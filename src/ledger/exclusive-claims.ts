// What only one of many programs may take: a DPoP proof's `jti`, a token of an issuer with `single_use`, the turn at a chore.
import type { Clock } from '../core/clock.js'
import type { Connection } from './connection.js'
import { orUnavailable } from './unavailable.js'

/** Brokers up to 5 s apart still serve: what one would take last, another must not have forgotten. */
const clockMarginMs = 10_000

export function createExclusiveClaims(redis: Connection, tag: string, clock: Pick<Clock, 'now'>) {
  return {
    async claimOnce(kind: 'proof' | 'token', digest: string, until: number): Promise<boolean> {
      const keepMs = Math.ceil(Math.max(0, until - clock.now())) + clockMarginMs
      // Redis ends it by itself: one small key per call, for as long as the same thing could be shown again.
      return (await orUnavailable(redis.set(`${tag}once:${kind}:${digest}`, '1', 'PX', keepMs, 'NX'))) === 'OK'
    },
    async takeTurn(name: string, forMs: number): Promise<boolean> {
      return (await orUnavailable(redis.set(`${tag}turn:${name}`, '1', 'PX', forMs, 'NX'))) === 'OK'
    },
  }
}
