// Every name that a lock may bear and that stops a request, a lease or a vote. One that is missing is a lock that stops nobody.
import { actorsOf, issuerOf, type LeaseRecord } from './lease.js'
import type { Task } from './task.js'

/** Somebody who stands in the chain: whoever asks, or whoever opened a task. */
export type InChain = Pick<Task, 'principal' | 'account'>

export const actorNames = ({ principal, account }: InChain): string[] => [
  `principal=${principal}`,
  `account=${account}`,
  `issuer=${issuerOf(principal)}`,
]

/** Of what is asked for by these `actors` in the first task of the `chain`: a lock on whoever stands above stops all below (I7). */
export const lockNames = (asked: {
  readonly chain: readonly string[]
  readonly actors: readonly InChain[]
  readonly action: string
  readonly resource: string
  readonly provider: string
}): string[] => [
  ...asked.chain.map((task) => `task=${task}`),
  ...asked.actors.flatMap(actorNames),
  `action=${asked.action}`,
  `resource=${asked.resource}`,
  `provider=${asked.provider}`,
  'all=true',
]

/** What every lease that may be alive is looked up under when locks are set or orders given. */
export const lockTargets = ({ id, record }: { readonly id: string; readonly record: LeaseRecord }): string[] => [
  `lease=${id}`,
  ...lockNames({ ...record, actors: actorsOf(record) }),
]
