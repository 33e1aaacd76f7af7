// Waiting for people: long polls, one after the other, through whatever the broker and the network do meanwhile. What an
// approval says is the broker's word alone; no clock of ours decides that it is over.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Approval } from '../api/approvals.js'
import { systemClock } from '../core/clock.js'
import { ClientError } from './client-error.js'

export interface WaitOptions {
  /** Breaks the wait off: rejects with the signal's reason. */
  signal?: AbortSignal | undefined
  /** Whoever waits no longer than this is given the approval as it was seen last, `pending`. Default: no limit of ours. */
  timeoutMs?: number | undefined
  /** Told each time that it was looked at. */
  onSeen?: ((approval: Approval) => void) | undefined
}

type Look = (id: string, options: { waitSeconds: number; signal?: AbortSignal | undefined }) => Promise<Approval>

/** Short enough that no proxy in between gives up on an idle connection. */
const longestPollSeconds = 20
/** A poll answers the end of the approval, not each vote: where several have to agree, it is looked at again soon. */
const quorumPollSeconds = 5

/** The approval, no longer `pending` unless `timeoutMs` were over. Throws ClientError for what waiting does not change. */
export async function waitForApproval(look: Look, id: string, options: WaitOptions): Promise<Approval> {
  const { signal, timeoutMs = Number.POSITIVE_INFINITY, onSeen } = options
  const until = systemClock.monotonic() + timeoutMs
  let seen: Approval | null = null
  for (;;) {
    signal?.throwIfAborted()
    const askedAt = systemClock.monotonic()
    // The first look answers at once, so that there is something to show.
    const waitSeconds = seen === null ? 0 : pollSeconds(seen, until - askedAt)
    let pauseMs = 0
    try {
      const found = await look(id, { waitSeconds, signal })
      onSeen?.(found)
      if (found.state !== 'pending') return found
      // A poll that came back early told of a vote, or was cut short by a broker that is draining.
      if (seen !== null && systemClock.monotonic() - askedAt < waitSeconds * 1000) pauseMs = 500
      seen = found
    } catch (error) {
      signal?.throwIfAborted()
      if (!isPassing(error)) throw error
      pauseMs = Math.max(1000, Math.min(10_000, (error.retryAfterSeconds ?? 0) * 1000))
      if (seen === null && systemClock.monotonic() + pauseMs >= until) throw error
    }
    const leftMs = until - systemClock.monotonic()
    if (leftMs <= 0 && seen !== null) return seen
    await pause(Math.min(pauseMs, Math.max(0, leftMs)), signal)
  }
}

function pollSeconds({ requirements }: Approval, leftMs: number): number {
  const needed = requirements.reduce((sum, one) => sum + one.needed, 0)
  return Math.min(needed > 1 ? quorumPollSeconds : longestPollSeconds, Math.max(0, Math.floor(leftMs / 1000)))
}

/** An outage, or too many questions: the approval stands whatever becomes of our looking. */
function isPassing(error: unknown): error is ClientError {
  if (!(error instanceof ClientError)) return false
  return error.code === 'unavailable' || [429, 502, 503, 504].includes(error.status)
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (ms <= 0) return
  await sleep(ms, undefined, { signal }).catch((error: unknown) => {
    signal?.throwIfAborted()
    throw error
  })
}
