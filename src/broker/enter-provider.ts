// Whether a provider is to be asked at all: one that has not been answering is not, and nothing is reserved for it.
import { BrokerError } from '../core/errors.js'
import type { Pass } from '../providers/breaker.js'
import type { Parts } from './parts.js'

/** The permission for one mint. Throws `provider_unavailable` at once while the provider's breaker is open. */
export function enterProvider(parts: Parts, provider: string): Pass {
  const breaker = parts.breakers.issue(provider)
  const pass = breaker.enter()
  if (pass === null) throw notAnswering(provider, breaker.waitMs())
  return pass
}

/** The same refusal before there is anything to be given back, such as a task. Takes no permission. */
export function checkAnswering(parts: Parts, provider: string): void {
  const waitMs = parts.breakers.issue(provider).waitMs()
  if (waitMs > 0) throw notAnswering(provider, waitMs)
}

const notAnswering = (provider: string, waitMs: number) =>
  new BrokerError('provider_unavailable', `${provider} has not been answering; it is not asked again yet`, {
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
  })
