// Every point that a scenario passes, found by playing it once; then each of them again, with a death at that point.
import { performance } from 'node:perf_hooks'
import { lookIntoLedger, pause } from '../wire-checks.js'
import { problemsOfAll, problemsOfRun, readEverything } from './findings.js'
import { type Ground, type Mortal, mortals, startGround } from './ground.js'
import { beginRun, type Run, scenarios, serveDiesIn } from './scenarios.js'

export interface Point {
  readonly program: Mortal
  readonly scenario: string
  readonly name: string
}

export interface Row extends Point {
  readonly died: boolean
  readonly leases: string
  readonly problems: readonly string[]
}

export interface Table {
  readonly rows: readonly Row[]
  /** What is wrong and belongs to no row. */
  readonly problems: readonly string[]
}

/**
 * Plays each scenario undisturbed, and once more: what was passed in one playing alone (a retry, a race that the other program won)
 * is passed by chance, and would not be met when it is to be died at. A point belongs to the first scenario that passes it.
 */
export async function findPoints(): Promise<Point[]> {
  const ground = await startGround()
  try {
    const points = new Map<string, Point>()
    for (const scenario of Object.keys(scenarios)) {
      const [once, again] = [await pointsOf(ground, scenario), await pointsOf(ground, scenario)]
      for (const [key, point] of new Map([...once, ...again])) {
        const isPassed = (once.has(key) && again.has(key)) || isSeldom(point)
        if (isPassed && !points.has(key)) points.set(key, point)
      }
    }
    return [...points.values()]
  } finally {
    await ground.stop()
  }
}

/** The points of the story that one playing passes, by program and name. */
async function pointsOf(ground: Ground, scenario: string): Promise<Map<string, Point>> {
  await ground.untilAlive()
  await untilJudged(ground)
  for (const program of mortals) ground.takeMet(program)
  await scenarios[scenario]?.(ground, await beginRun(ground))
  // What follows an answer is passed a moment after it was read.
  await pause(1000)
  const points = new Map<string, Point>()
  for (const program of mortals) {
    if (program === 'serve' && serveDiesIn.includes(scenario)) continue
    for (const name of ground.takeMet(program)) {
      const isStory = !/answers\.write\(GET \/(?!v1)/.test(name)
      if (isStory) points.set(`${program} ${name}`, { program, scenario, name })
    }
  }
  return points
}

/** Of no scenario: what lives at a provider is compared with the ledger each quarter of a minute, the whole of it each minute. */
const isSeldom = ({ name }: Point) => /(^|>)orphans\b/.test(name)
const seldomMs = 90_000

/**
 * Programs that start have live leases decided again, which belongs to no scenario: it would be met in one by chance, and in its
 * next playing not. Waits until that is over, and stays so while each has said by which rules it decides.
 */
async function untilJudged({ stack }: Ground): Promise<void> {
  const ledger = lookIntoLedger(stack)
  const end = performance.now() + 60_000
  try {
    for (let calm = 0; calm < 8; ) {
      if (performance.now() > end) throw new Error('live leases are still being decided again')
      calm = (await ledger.redis.hget(ledger.key('rules'), 'state')) === 'done' ? calm + 1 : 0
      await pause(250)
    }
  } finally {
    ledger.close()
  }
}

/**
 * Kills at each of the points, `lanes` at a time, each lane with a ledger, a Vault and programs of its own. `told` hears how many
 * points are over; what became of them is looked at when all are.
 */
export async function dieAtEach(
  points: readonly Point[],
  lanes: number,
  told: (played: number) => void = () => {},
): Promise<Table> {
  const rest = [...points]
  let count = 0
  const played = () => told(++count)
  const lane = () => dieInLane(rest, played)
  const tables = await Promise.all(Array.from({ length: Math.min(lanes, points.length) }, lane))
  return { rows: tables.flatMap((table) => table.rows), problems: tables.flatMap((table) => table.problems) }
}

async function dieInLane(rest: Point[], over: () => void): Promise<Table> {
  const ground = await startGround()
  try {
    const played: { point: Point; run: Run; died: boolean }[] = []
    for (let point = rest.shift(); point; point = rest.shift()) {
      let last = await dieAt(ground, point)
      // What both programs race for is passed by the one or the other: played again until this one has it.
      for (let again = 0; !last.died && last.run.problems.length === 0 && again < 9; again++)
        last = await dieAt(ground, point)
      played.push(last)
      over()
    }
    const seen = await readEverything(ground)
    const rows: Row[] = []
    for (const { point, run, died } of played) {
      const leases = seen.leases.filter((lease) => lease.account === run.account).map(({ state }) => state)
      rows.push({ ...point, died, leases: leases.join(', '), problems: await problemsOfRun(ground, run, seen) })
    }
    return { rows, problems: await problemsOfAll(ground, seen) }
  } finally {
    await ground.stop()
  }
}

async function dieAt(ground: Ground, point: Point): Promise<{ point: Point; run: Run; died: boolean }> {
  const run = await beginRun(ground)
  const play = scenarios[point.scenario]
  await ground.untilAlive()
  ground.arm(point.program, point.name)
  await play?.(ground, run).catch((error: Error) => run.problems.push(error.message))
  // A step that follows the answer may be passed a moment later.
  const patienceMs = isSeldom(point) ? seldomMs : 3000
  for (let waited = 0; waited < patienceMs && ground.isArmed(point.program); waited += 50) await pause(50)
  const died = !ground.isArmed(point.program)
  ground.disarm(point.program)
  await ground.untilAlive()
  run.aliveAt = Date.now()
  return { point, run, died }
}

/** The table as text, one row a point, and the sums. */
export function printTable({ rows, problems }: Table, seconds: number): string {
  const width = Math.max(...rows.map((row) => row.name.length))
  const lines = rows.map(({ program, scenario, name, died, leases, problems: wrong }) =>
    [
      program.padEnd(6),
      scenario.padEnd(15),
      name.padEnd(width),
      died ? 'died' : 'not met',
      wrong.length === 0 ? 'holds' : `BROKEN: ${wrong.join('; ')}`,
      leases,
    ].join('  '),
  )
  const died = rows.filter((row) => row.died).length
  const broken = rows.filter((row) => row.problems.length > 0).length
  const sums = `${rows.length} points, ${died} died, ${broken} broken, ${problems.length} problems of the whole, ${Math.round(seconds)} s`
  return [...lines, ...problems.map((one) => `BROKEN: ${one}`), sums, ''].join('\n')
}

export const secondsSince = (start: number) => (performance.now() - start) / 1000
