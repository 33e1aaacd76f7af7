// Whether the approval that a lease was issued by is the one that is asked for now.
import type { LeaseRecord } from '../ledger/lease.js'
import type { Verdict } from '../policy/decision.js'

type Wanting = Extract<Verdict, { effect: 'approval_required' }>

/** No lease has been approved so far: where one is asked for now, none stands. */
export function approvalStands(_record: LeaseRecord, _verdict: Wanting): boolean {
  return false
}
