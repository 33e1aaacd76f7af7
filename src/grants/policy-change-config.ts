// `policy_change:` of the configuration: how far a change of rules may reach into live leases by itself.
import { z } from 'zod'

/** Up to `brake_leases` live leases, or `brake_percent` of them where that is more, end without an operator's word. */
export const policyChangeConfig = z
  .strictObject({
    brake_leases: z.int('expected a whole number').min(0).max(100_000_000).default(20),
    brake_percent: z.number('expected a number').min(0).max(100).default(5),
    /** How fast leases are told to end: providers have limits of their own. */
    ends_per_second: z.int('expected a whole number').min(1).max(10_000).default(200),
  })
  .prefault({})
