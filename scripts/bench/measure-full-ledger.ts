// The exchange in a ledger of very many live leases against the same in an empty one, each with programs and a Redis of its own.
// In turns: what a machine gives changes from one minute to the next, by more than what is measured.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type EngineGround, layEngineGround } from './engine-ground.js'
import { openGround } from './population.js'
import { preferRedis } from './redis-figures.js'
import { runLoad } from './run-load.js'
import { lastWords, startProgram, untilReadyMs } from './stack.js'
import type { Load } from './summary.js'

export interface FullLedger {
  readonly exchangeEmpty: Load
  readonly exchangeFull: Load
}

const turns = 7

export async function measureFullLedger(
  full: EngineGround,
  directory: string,
  emptyRedisUrl: string,
  { seconds, isOurs }: { seconds: number; isOurs: boolean },
): Promise<FullLedger> {
  const home = join(directory, 'empty-ground')
  mkdirSync(home, { mode: 0o700 })
  const empty = await layEngineGround(home, emptyRedisUrl, null)
  const on = await openGround(empty)
  if (isOurs) await preferRedis(on.redis)
  await on.close()
  const programs = [startProgram('worker', empty), startProgram('serve', empty)]
  try {
    await untilReadyMs(empty, performance.now())
    await exchange(empty, 3 * seconds)
    await exchange(full, seconds)
    const loads: { empty: Load[]; full: Load[] } = { empty: [], full: [] }
    for (let i = 0; i < turns; i++) {
      loads.empty.push(await exchange(empty, seconds))
      loads.full.push(await exchange(full, seconds))
    }
    return { exchangeEmpty: middleOf(loads.empty), exchangeFull: middleOf(loads.full) }
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${lastWords(empty)}`)
  } finally {
    for (const program of programs) await program.stop()
  }
}

function exchange(ground: EngineGround, seconds: number): Promise<Load> {
  const tokens = Array.from({ length: 8 }, (_, i) => ground.token(`agent-${i}`))
  return runLoad({ story: 'exchange', url: ground.url, connections: 4, warmSeconds: 0.5, seconds, tokens })
}

/** By p99: a single stall of the machine decides that of one load. */
function middleOf(loads: readonly Load[]): Load {
  const [middle] = [...loads].sort((a, b) => a.p99Ms - b.p99Ms).slice(Math.floor(loads.length / 2))
  if (middle === undefined) throw new Error('no load was measured')
  return middle
}
