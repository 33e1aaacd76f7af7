// How many leases there are, by provider and state: what operators and metrics see of the ledger.
import type { LedgerCounts } from './ledger.js'
import { fieldsOf } from './replies.js'
import type { Reply, RunScript } from './scripts.js'

export function createCounts(run: RunScript) {
  return {
    async counts(providers: readonly string[]): Promise<LedgerCounts> {
      const [now, rows, owed] = (await run('counts', ...providers)) as [number, [string, string, Reply][], number]
      return {
        providers: rows.map(([provider, since, states]) => ({
          provider,
          states: Object.fromEntries(Object.entries(fieldsOf(states)).map(([state, count]) => [state, Number(count)])),
          oldestOverdueMs: since === '' ? 0 : Math.max(0, now - Number(since)),
        })),
        owed,
      }
    },
  }
}
