// What long work says of itself on stderr.
import type { Clock } from '../core/clock.js'
import type { CommandOutput } from './command-output.js'

const everyMs = 2000

/** `tick` after each step: a line every two seconds, none for work that is over by then. */
export function createProgress(
  output: Pick<CommandOutput, 'note'>,
  clock: Pick<Clock, 'monotonic'>,
  line: () => string,
): { tick(): void } {
  let last = clock.monotonic()
  return {
    tick() {
      const now = clock.monotonic()
      if (now - last < everyMs) return
      last = now
      output.note(`hallpass: ${line()}`)
    },
  }
}
