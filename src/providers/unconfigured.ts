// Stands for a provider that the configuration has no more, while leases of it are still looked after: they show, they are
// counted, and the end that nobody can carry out is a failed one, until their natural end or until the provider is back.
import { type Provider, ProviderError } from './provider.js'

/** Mints nothing and calls nobody: every attempt to end a lease fails for good, and says what is missing. */
export function createUnconfiguredProvider(name: string): Provider {
  const missing = () => {
    const what = `the provider ${name} is not configured any more; put it back, restart, and have its leases retried`
    return new ProviderError('permanent', what)
  }
  const refuse = async () => {
    throw missing()
  }
  return {
    name,
    kind: 'unconfigured',
    timeoutSeconds: 1,
    concurrency: 1,
    callsNobody: true,
    guarantees: () => {
      throw missing()
    },
    validate: () => [],
    plan: () => {
      throw missing()
    },
    issue: refuse,
    revoke: refuse,
    probe: async () => 'unknown',
    findByMark: refuse,
    diagnose: async () => [missing().message],
    close: async () => undefined,
  }
}
