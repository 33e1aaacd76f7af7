// Whether the approval that a lease was issued by is the one that is asked for now.
import type { LeaseRecord } from '../ledger/lease.js'
import type { Verdict } from '../policy/decision.js'

type Wanting = Extract<Verdict, { effect: 'approval_required' }>

/** The same permit's offer, and nobody wanted beyond those who agreed; fewer would do as well. */
export function approvalStands({ approval }: LeaseRecord, { offer, approvals }: Wanting): boolean {
  if (approval?.policy !== offer.policy) return false
  return approvals.every(({ group, count }) =>
    approval.requirements.some((given) => given.group === group && given.count >= count),
  )
}
