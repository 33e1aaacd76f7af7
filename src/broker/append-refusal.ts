// Refusals on record, one by one as long as they are no flood: a verified caller that is refused in a loop must not fill the disk
// that decisions and revocations need. What it is told stays the same: another answer would tell what is there.
import type { AuditRecord } from '../audit/record.js'
import type { Principal } from '../identity/principal.js'
import type { Parts } from './parts.js'

interface Minute {
  readonly number: number
  readonly refusals: Map<string, number>
}

// Per process: what is bounded is what this one writes.
const minutes = new WeakMap<Parts['audit'], Minute>()

/**
 * Writes it down, at most `limits.account.requests_per_minute` of an account in a minute; then once that there are more. Throws
 * `audit_unavailable`.
 */
export async function appendRefusal(
  parts: Pick<Parts, 'audit' | 'clock' | 'rules'>,
  { id, account, use }: Pick<Principal, 'id' | 'account' | 'use'>,
  record: AuditRecord,
): Promise<void> {
  const limit = parts.rules().limits.account.requests_per_minute
  const count = countIn(minuteOf(parts), `${use} ${account}`)
  if (count > limit + 1) return
  if (count <= limit) await parts.audit.append(record)
  else
    await parts.audit.append({
      event: record.event,
      principal: id,
      account,
      code: 'rate',
      detail: `more than ${limit} refusals of this account within a minute: the rest of them are not written down`,
    })
}

function minuteOf({ audit, clock }: Pick<Parts, 'audit' | 'clock'>): Minute {
  const number = Math.floor(clock.monotonic() / 60_000)
  const known = minutes.get(audit)
  if (known?.number === number) return known
  const next = { number, refusals: new Map<string, number>() }
  minutes.set(audit, next)
  return next
}

function countIn({ refusals }: Minute, account: string): number {
  const count = (refusals.get(account) ?? 0) + 1
  refusals.set(account, count)
  return count
}
