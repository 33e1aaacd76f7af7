// Every effect of the stories goes through one of four parts: ledger, audit, queue, a provider. Whoever starts a program may
// stand around their calls (the crash harness stops the process before and after each); the stories know nothing of it.
import type { Parts } from './parts.js'

/** Given a part by name, answers what is used in its place. */
export type Surround = <Part extends object>(name: string, part: Part) => Part

/** Production: the parts themselves. Nothing that a program reads, no setting and no request, leads to any other. */
export const asIs: Surround = (_name, part) => part

/** The same parts, each of those with effects surrounded once. */
export function surroundEffects(parts: Parts, surround: Surround): Parts {
  const providers = [...parts.providers].map(([name, provider]) => [name, surround(name, provider)] as const)
  return {
    ...parts,
    providers: new Map(providers),
    ledger: surround('ledger', parts.ledger),
    audit: surround('audit', parts.audit),
    queue: surround('queue', parts.queue),
  }
}
