// What is seen of issuers → metrics. Labels are names of the configuration and closed sets, never a token's words.
import type { Clock } from '../core/clock.js'
import type { Issuer } from '../identity/issuer.js'
import type { IssuerEvents } from '../identity/issuer-monitor.js'
import type { Metrics } from '../telemetry/metrics.js'

/** For the issuers: counts fetches of keys and refusals of tokens. */
export function countIssuerEvents(metrics: Pick<Metrics, 'issuerFetches' | 'issuerRefusals'>): IssuerEvents {
  return {
    fetched: (issuer, outcome) => metrics.issuerFetches.inc({ issuer, outcome }),
    refused: (issuer, reason) => metrics.issuerRefusals.inc({ issuer, reason }),
  }
}

/** Sets the gauges of the issuers that are configured now; what was known of others is forgotten. */
export function observeIssuers(
  metrics: Pick<Metrics, 'issuerKeyAgeSeconds' | 'issuerSkewSeconds'>,
  issuers: readonly Issuer[],
  clock: Clock,
): void {
  const { issuerKeyAgeSeconds, issuerSkewSeconds } = metrics
  issuerKeyAgeSeconds.reset()
  issuerSkewSeconds.reset()
  for (const one of issuers) {
    const issuer = one.name
    const { keysFetchedAt } = one.status()
    if (keysFetchedAt !== null) issuerKeyAgeSeconds.set({ issuer }, (clock.now() - keysFetchedAt) / 1000)
    const { byDate = null, byTokens = null } = one.skew?.() ?? {}
    if (byDate !== null) issuerSkewSeconds.set({ issuer, by: 'date' }, byDate)
    if (byTokens !== null) issuerSkewSeconds.set({ issuer, by: 'tokens' }, byTokens)
  }
}
