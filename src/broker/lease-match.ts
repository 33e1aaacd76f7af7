// What a filter or a target on the wire means for the ledger.
import type { z } from 'zod'
import type { leaseFilter } from '../api/leases.js'
import type { Target, Where } from '../api/revocations.js'
import type { LeaseMatch } from '../ledger/ledger.js'

/** Times from text to epoch milliseconds; everything else has the same name and meaning. */
export function matchOfFilter(filter: z.infer<typeof leaseFilter> | Where): LeaseMatch {
  const { issued_after, issued_before, ...rest } = filter
  return {
    ...rest,
    ...(issued_after ? { issuedAfter: Date.parse(issued_after) } : {}),
    ...(issued_before ? { issuedBefore: Date.parse(issued_before) } : {}),
  } as LeaseMatch
}

/** The live leases that an order for this target reaches. */
export function matchOf(target: Target): LeaseMatch {
  if ('all' in target) return {}
  return 'where' in target ? matchOfFilter(target.where) : { ...target }
}
