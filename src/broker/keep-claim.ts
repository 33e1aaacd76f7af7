import type { Parts } from './parts.js'

/** Renews a claim each second while its work goes on. Losing it is no error: settling is refused then, and another's stands. */
export function keepClaim(parts: Parts, leaseId: string, token: string): { stop(): void } {
  const timer = setInterval(() => {
    parts.ledger
      .renewClaim(leaseId, token)
      .catch((error: unknown) => parts.log.debug({ err: error }, 'a claim was not renewed'))
  }, 1000)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
