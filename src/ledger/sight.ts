// What operators see of the ledger, and turns that only one of many workers takes.
import type { Connection } from './connection.js'
import type { LedgerCounts } from './ledger.js'
import { fieldsOf } from './replies.js'
import type { Reply, RunScript } from './scripts.js'
import { orUnavailable } from './unavailable.js'

export function createSight(redis: Connection, tag: string, run: RunScript) {
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
    async takeTurn(name: string, forMs: number) {
      return (await orUnavailable(redis.set(`${tag}turn:${name}`, '1', 'PX', forMs, 'NX'))) === 'OK'
    },
  }
}
