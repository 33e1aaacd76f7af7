// What became of the leases, in words. A receipt says no more than was seen, and neither does this.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Receipt } from '../client/index.js'
import type { Clock } from '../core/clock.js'
import { isUnavailable } from './exit-codes.js'
import { formatTable } from './output.js'

/** One line for a receipt that is not `confirmed`. `what` is the lease in words where it is known. */
export function describeReceipt(receipt: Receipt, what = receipt.lease_id): string {
  const means = {
    confirmed: `confirmed dead (${receipt.evidence})`,
    pending: `pending: its end is not confirmed yet; the broker keeps at it, and it ends by itself at ${receipt.expires_at}`,
    expires_at: `expires_at: cannot be ended early; it ends by itself at ${receipt.expires_at}`,
    not_revocable: 'not_revocable: a copy of a standing secret, which stays valid until it is changed at its source',
    failed: `failed: the broker could not end it and goes on trying until ${receipt.expires_at}; tell an operator`,
  }[receipt.outcome]
  const sessions =
    receipt.outcome === 'confirmed' && receipt.sessions === 'may_continue' ? '; open sessions may go on' : ''
  return `${what}: ${means}${sessions}`
}

export function formatReceipts(receipts: readonly Receipt[]): string {
  if (receipts.length === 0) return 'no leases'
  const rows = receipts.map((one) => [one.lease_id, one.outcome, one.evidence, one.sessions, one.expires_at])
  return formatTable([['LEASE', 'OUTCOME', 'EVIDENCE', 'SESSIONS', 'EXPIRES'], ...rows])
}

/** Whether the command ends with 7. */
export function hasFailed(receipts: readonly Receipt[]): boolean {
  return receipts.some(({ outcome }) => outcome === 'failed')
}

/**
 * Repeats `attempt` (idempotent: complete or release) until no receipt is pending or `settleSeconds` are over, through
 * outages of the broker too, and gives the last receipts. Throws what the last attempt threw.
 */
export async function settleReceipts(
  attempt: (waitSeconds: number) => Promise<Receipt[]>,
  settleSeconds: number,
  clock: Pick<Clock, 'monotonic'>,
): Promise<Receipt[]> {
  const until = clock.monotonic() + settleSeconds * 1000
  for (;;) {
    const leftMs = until - clock.monotonic()
    try {
      // A broker takes 60 s at most (`waitSeconds` in src/api/fields.ts).
      const receipts = await attempt(Math.min(60, Math.max(0, Math.ceil(leftMs / 1000))))
      if (leftMs <= 0 || !receipts.some(({ outcome }) => outcome === 'pending')) return receipts
    } catch (error) {
      if (leftMs <= 0 || !isUnavailable(error)) throw error
    }
    await sleep(Math.min(500, Math.max(50, until - clock.monotonic())))
  }
}
