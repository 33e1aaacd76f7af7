// Each second: says which rules this program decides by, and where live leases are to be judged by them has it done. Does none
// of the work.
import type { ForegroundGate } from '../broker/foreground-gate.js'
import type { Parts } from '../broker/parts.js'
import { redecide } from '../broker/redecide.js'
import { type Beating, startBeating } from './beat.js'

/** `judges`: given by programs that end leases; the others only say what they decide by. */
export function startRulesBeat(parts: Parts, program: string, judges: ForegroundGate | null): Beating {
  const stop = new AbortController()
  let work: Promise<unknown> = Promise.resolve()
  let working = false
  let told: string | null = null
  const beat = async () => {
    const { hash } = parts.rules()
    const { role, change } = await parts.ledger.adoptRules(program, hash)
    if (role === 'other' && told !== change.hash) {
      parts.log.warn({ rules: hash, in_force: change.hash }, 'other programs decide by newer rules than this one')
    }
    told = role === 'other' ? change.hash : null
    if (judges === null || role === 'other' || change.state !== 'due' || change.held || working) return
    working = true
    // Not waited for: meanwhile the rules may change again, and that has to be said.
    work = redecide(parts, judges, stop.signal)
      .catch((error: unknown) =>
        parts.log.warn({ err: error }, 'live leases are to be decided again; the next beat tries'),
      )
      .finally(() => {
        working = false
      })
  }
  const beating = startBeating(beat, parts.log)
  return {
    soon: beating.soon,
    async stop() {
      stop.abort()
      await beating.stop()
      await work
    },
  }
}
