// Signs of life while a command runs: should this process be killed outright, the broker ends the task by itself.
import { ClientError } from '../client/index.js'
import type { Borrowed } from './held-task.js'
import { describeError } from './output.js'

/** Missed by so long, the task is ended as abandoned. */
export const heartbeatSeconds = 60

/** Beats three times per interval. What a broker's outage swallows is not counted against us; an ended task is told of once. */
export function startHeartbeats(
  borrowed: Pick<Borrowed, 'taskId' | 'beat'>,
  note: (line: string) => void,
  everyMs = (heartbeatSeconds * 1000) / 3,
): { stop(): void } {
  const { beat } = borrowed
  if (beat === undefined) return { stop: () => undefined }
  let isOver = false
  const timer = setInterval(() => {
    beat().catch((error: unknown) => {
      // Several may be under way when the first of them is refused.
      if (isOver || !(error instanceof ClientError) || !isFinal(error)) return
      isOver = true
      clearInterval(timer)
      note(`no more heartbeats for ${borrowed.taskId}, so its credentials end: ${describeError(error)}`)
    })
  }, everyMs)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}

/** What asking again does not change. */
const isFinal = ({ code }: ClientError) => code === 'task_closed' || code === 'not_found' || code === 'not_permitted'
