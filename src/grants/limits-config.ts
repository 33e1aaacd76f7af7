// `limits:` of the configuration: what no grant and no policy loosens.
import { z } from 'zod'
import { duration } from '../core/settings.js'

const count = z.int('expected a whole number').min(1, 'expected at least 1').max(100_000_000)

/** `1h` as a default, so that what stands in the file and what is defaulted are read alike. */
const durationOr = (text: string) => duration.prefault(text)

const lease = z.strictObject({ ttl: durationOr('1h') })
const task = z.strictObject({
  ttl: durationOr('8h'),
  active_leases: count.default(50),
  depth: z.int('expected a whole number').min(0).max(32).default(5),
  events: count.default(10_000),
})
const account = z.strictObject({
  memory: durationOr('24h'),
  active_leases: count.default(200),
  open_tasks: count.default(100),
  requests_per_minute: count.default(300),
  pending_approvals: count.default(10),
  approval_cooldown: durationOr('5m'),
})
const provider = z.strictObject({ active_leases: count.default(10_000) })

/** Durations come out in seconds. */
export const limitsConfig = z
  .strictObject({
    lease: lease.prefault({}),
    task: task.prefault({}),
    account: account.prefault({}),
    provider: provider.prefault({}),
  })
  .prefault({})

export type Limits = z.output<typeof limitsConfig>
