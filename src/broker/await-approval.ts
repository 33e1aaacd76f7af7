// Waiting for people: woken when an approval is answered or ends, and by a slow poll where that was missed.
import { type Approval, stateAt } from '../ledger/approval.js'
import type { Parts } from './parts.js'

/** The approval once it is no longer pending, or as it stands after the time. */
export async function awaitApproval(parts: Parts, approval: Approval, waitMs: number): Promise<Approval> {
  const gone = new AbortController()
  let last = approval
  for await (const seen of changesOf(parts, approval, { waitMs, gone: gone.signal })) last = seen
  return last
}

/**
 * The approval now, and each time it was answered or ended, until it is no longer pending, the time is over or the caller is
 * gone. Throws `ledger_unavailable`.
 */
export async function* changesOf(
  parts: Parts,
  first: Approval,
  { waitMs, gone }: { waitMs: number; gone: AbortSignal },
): AsyncGenerator<Approval> {
  const until = parts.clock.monotonic() + waitMs
  const waitedFor = new Set([first.id])
  let told = ''
  let current: Approval = first
  while (!gone.aborted) {
    const left = until - parts.clock.monotonic()
    // Begun before the look: otherwise what happens between the two is missed until the next poll.
    const changed = left > 0 ? parts.ledger.waitSettled(waitedFor, left) : null
    current = (await parts.ledger.findApproval(first.id)) ?? current
    const state = stateAt(current, parts.clock.now())
    if (`${current.answers} ${state}` !== told) yield current
    told = `${current.answers} ${state}`
    if (state !== 'pending' || changed === null) return
    await changed
  }
}
