// Under which names each story asks whether an operator has locked what it is about to do.
import type { ApprovalVote, Bound } from '../ledger/approval.js'
import { issuerOf } from '../ledger/lease.js'
import { actorNames, type InChain, lockNames } from '../ledger/lock-names.js'
import type { Task } from '../ledger/task.js'
import type { Caller } from './parts.js'
import type { ResolvedRequest } from './resolved-request.js'

/** A request before there is a lease. `chain`: its task and those above; `above`: who opened those. */
export const requestTargets = (
  { principal }: Caller,
  { grant, resource }: ResolvedRequest,
  chain: readonly string[],
  above: readonly InChain[],
): string[] => {
  const actors = [{ principal: principal.id, account: principal.account }, ...above]
  return lockNames({ chain, actors, action: grant.action, resource: resource.id, provider: grant.provider })
}

/** What is bound by an approval: whatever is locked is neither asked for nor approved. `actors`: who asks, and everybody above. */
export const approvalTargets = (bound: Bound, actors: readonly InChain[]): string[] =>
  lockNames({ ...bound, actors, resource: bound.resource.id })

/** An operator who answers, and whoever vouches for them: at the vote, and when it is used. */
export const voterTargets = (votes: readonly Pick<ApprovalVote, 'by'>[]): string[] => [
  ...new Set(votes.flatMap(({ by }) => [`principal=${by}`, `issuer=${issuerOf(by)}`])),
]

/** Tasks, and those who opened them. */
export const chainTargets = (chain: readonly (InChain & Pick<Task, 'id'>)[]): string[] => [
  ...chain.flatMap((task) => [`task=${task.id}`, ...actorNames(task)]),
  'all=true',
]
