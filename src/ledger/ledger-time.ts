// Redis's time is the ledger's, and the only one by which a credential may be said to have reached its end.
import type { Ledger } from './ledger.js'

/** The same ledger; `heard` is told its time, epoch milliseconds, with every look and every claim. */
export function tellingTime(ledger: Ledger, heard: (now: number) => void): Ledger {
  return {
    ...ledger,
    async look(task, idempotencyKey, rate) {
      const look = await ledger.look(task, idempotencyKey, rate)
      if (look !== 'not_found' && 'now' in look) heard(look.now)
      return look
    },
    async claim(lease, token) {
      const answer = await ledger.claim(lease, token)
      if (answer.outcome === 'ok') heard(answer.now)
      return answer
    },
  }
}
