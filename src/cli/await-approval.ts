// Waits until people have approved: with a countdown on a terminal, else with one line that says what is waited for.
import type { Approval, BrokerClient } from '../client/index.js'
import { systemClock } from '../core/clock.js'
import { describeNeeds } from './approval-text.js'
import { startCountdown, type Terminal } from './countdown.js'
import { NotApproved, WaitBrokenOff } from './not-approved.js'
import type { Output } from './output.js'

export interface Waiting {
  readonly client: Pick<BrokerClient, 'waitForApproval'>
  readonly output: Pick<Output, 'note'>
  readonly terminal: Terminal | undefined
  /** Ends the waiting; its reason is the name of the system's signal. */
  readonly signal: AbortSignal
  /** Default: as long as the approval itself. */
  readonly timeoutMs?: number | undefined
  /** Of the task that they are for, where we have it: some issuers' workloads have to show it (`task_token: required`). */
  readonly taskToken?: string | null
}

/**
 * True when every one is approved, false when `timeoutMs` were over before. Throws NotApproved as soon as one is denied or over,
 * WaitBrokenOff after the signal, ClientError for what waiting does not change.
 */
export async function untilApproved(approvals: readonly Approval[], waiting: Waiting): Promise<boolean> {
  const { client, output, terminal, timeoutMs } = waiting
  const taskToken = waiting.taskToken ?? undefined
  // In full and on a line of its own, whatever the countdown has room for: it is what people are sent.
  for (const one of approvals) {
    output.note(
      `${one.id}: ${one.action} on ${one.resource} needs ${describeNeeds(one)} until ${one.expires_at}: ${one.url}`,
    )
  }
  const countdown = terminal === undefined ? undefined : startCountdown(terminal, approvals, systemClock)
  // One that is denied ends the waiting for the others.
  const over = new AbortController()
  const signal = AbortSignal.any([waiting.signal, over.signal])
  const onSeen = (seen: Approval) => countdown?.show(seen)
  const waits = approvals.map(async ({ id }) => {
    const found = await client.waitForApproval(id, { signal, timeoutMs, onSeen, taskToken })
    if (found.state === 'approved' || found.state === 'pending') return found
    throw new NotApproved(found)
  })
  try {
    return (await Promise.all(waits)).every(({ state }) => state === 'approved')
  } catch (error) {
    if (waiting.signal.aborted) throw new WaitBrokenOff(waiting.signal.reason as NodeJS.Signals)
    throw error
  } finally {
    over.abort()
    await Promise.allSettled(waits)
    countdown?.stop()
  }
}
