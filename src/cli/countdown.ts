// One line on a terminal, drawn anew each second while people are waited for.
import type { Approval } from '../client/index.js'
import type { Clock } from '../core/clock.js'
import { countVotes, describeNeeds, describeTimeLeft } from './approval-text.js'
import { withoutControls } from './output.js'

/** The terminal that stderr is. */
export interface Terminal {
  readonly columns: number
  write(text: string): void
}

export interface Countdown {
  /** What was seen of one of them last. */
  show(approval: Approval): void
  /** Takes the line away. */
  stop(): void
}

/** Shows the first that is pending: whom it waits for, the votes, the time left, and its URL where the line is long enough. */
export function startCountdown(
  terminal: Terminal,
  approvals: readonly Approval[],
  clock: Pick<Clock, 'now'>,
  everyMs = 1000,
): Countdown {
  const seen = new Map(approvals.map((one) => [one.id, one]))
  const draw = () => {
    const pending = [...seen.values()].filter(({ state }) => state === 'pending')
    const [first] = pending
    if (first !== undefined) terminal.write(`\r\x1b[2K${lineOf(first, pending.length - 1, terminal, clock.now())}`)
  }
  draw()
  const timer = setInterval(draw, everyMs)
  return {
    show(approval) {
      seen.set(approval.id, approval)
      draw()
    },
    stop() {
      clearInterval(timer)
      terminal.write('\r\x1b[2K')
    },
  }
}

/** Never as wide as the terminal: a line that wraps is not taken away by drawing over it. */
function lineOf(approval: Approval, more: number, { columns }: Terminal, now: number): string {
  const others = more > 0 ? ` (and ${more} more)` : ''
  const left = describeTimeLeft(approval.expires_at, now)
  const short = `waiting for ${describeNeeds(approval)}: ${countVotes(approval)} votes, ${left} left${others}`
  const line = withoutControls(`${short}  ${approval.url}`)
  return line.length < columns ? line : withoutControls(short).slice(0, Math.max(0, columns - 1))
}
