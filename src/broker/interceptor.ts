// Every effect of the stories goes through one of four parts: ledger, audit, queue, a provider. Whoever starts a program may
// intercept their calls (the crash harness stops the process before and after each); the stories know nothing of it.
import type { Parts } from './parts.js'

/** Given a part by name, answers what is used in its place. */
export type Interceptor = <Part extends object>(name: string, part: Part) => Part

/** Production: the parts themselves. Nothing that a program reads, no setting and no request, leads to any other. */
export const noInterceptor: Interceptor = (_name, part) => part

/** The same parts, with each of those that have effects intercepted once. */
export function interceptEffects(parts: Parts, intercept: Interceptor): Parts {
  const providers = [...parts.providers].map(([name, provider]) => [name, intercept(name, provider)] as const)
  return {
    ...parts,
    providers: new Map(providers),
    ledger: intercept('ledger', parts.ledger),
    audit: intercept('audit', parts.audit),
    queue: intercept('queue', parts.queue),
  }
}
