// `limits:` of the configuration: what no grant and no policy loosens.
import { z } from 'zod'
import { durationWithin } from '../core/settings.js'

const most = 100_000_000
const count = z.int('expected a whole number').min(1, 'expected at least 1').max(most, `expected at most ${most}`)

const year = 31_536_000
/** A limit of nothing would let nothing live; nobody can ask for more than a year. */
const lifetime = durationWithin(1, year, '1s to 365d')

// Texts as defaults, so that what stands in the file and what is defaulted are read alike.
const lease = z.strictObject({ ttl: lifetime.prefault('1h') })
const task = z.strictObject({
  ttl: lifetime.prefault('8h'),
  active_leases: count.default(50),
  depth: z.int('expected a whole number').min(0, 'expected 0 to 32').max(32, 'expected 0 to 32').default(5),
  events: count.default(10_000),
})
const account = z.strictObject({
  memory: durationWithin(1, 10 * year, '1s to 3650d').prefault('24h'),
  active_leases: count.default(200),
  open_tasks: count.default(100),
  requests_per_minute: count.default(300),
  pending_approvals: count.default(10),
  approval_cooldown: durationWithin(0, year, 'at most 365d').prefault('5m'),
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
