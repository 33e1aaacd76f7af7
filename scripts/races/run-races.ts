// Rounds of simultaneous requests that may not be held together, at several broker processes on one Redis (I8).
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRedis } from '../../src/dev/redis.js'
import { createRandom, pause } from '../soak/random.js'
import { type BrokerProcess, startBroker } from './broker-process.js'
import { layRaceConfig } from './race-config.js'
import { type Outcomes, type Round, type Scenario, scenarios } from './scenarios.js'

export interface RaceOptions {
  readonly seed: number
  readonly rounds: number
  /** Broker processes. */
  readonly brokers: number
  /** Simultaneous requests of a round. */
  readonly requests: number
  /** The compiled `scripts/races/program.js`. */
  readonly program: string
  /** Somebody wants it to end: no further round is begun. */
  isOver(): boolean
  say(line: string): void
}

export interface ScenarioResult {
  readonly name: string
  readonly rounds: number
  readonly requests: number
  /** How many requests were answered with each outcome. */
  readonly outcomes: Readonly<Record<string, number>>
  /** Decisions made for each request: what is more than one was decided again because the look had changed. */
  readonly decisionsPerRequest: number
  /** What was not exactly the allowed set, with its round; at most ten. */
  readonly faults: readonly string[]
  readonly faultyRounds: number
  /** Rounds run again because a broker could not write or reach something and said so: the machine is busy with others. */
  readonly repeated: number
  readonly seconds: number
}

export interface Races {
  readonly seed: number
  readonly brokers: number
  readonly results: readonly ScenarioResult[]
  readonly passed: boolean
}

/** Throws when a program cannot be started; a fault found is in the result. */
export async function runRaces(options: RaceOptions): Promise<Races> {
  const directory = mkdtempSync(join(tmpdir(), 'hallpass-races-'))
  const redis = await findRedis(join(directory, 'redis'), process.env, options.say)
  const brokers: BrokerProcess[] = []
  try {
    const configFile = await layRaceConfig(directory, redis.url)
    for (let i = 0; i < options.brokers; i++) {
      brokers.push(await startBroker(options.program, configFile, `broker-${i + 1}`))
    }
    const results: ScenarioResult[] = []
    for (const scenario of scenarios) {
      results.push(await runScenario(scenario, brokers, options))
      options.say(`${scenario.name}: ${results.at(-1)?.rounds} rounds, ${results.at(-1)?.faultyRounds} faulty`)
    }
    const passed = results.every((one) => one.faultyRounds === 0)
    return { seed: options.seed, brokers: options.brokers, results, passed }
  } finally {
    await Promise.all(brokers.map((one) => one.stop()))
    await redis.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Refusals that say nothing of the rules: fail closed, with Retry-After. `busy` is none of them. */
const outOfOrder = new Set(['audit_unavailable', 'ledger_unavailable', 'provider_unavailable', 'clock', 'no_worker'])

async function runScenario(scenario: Scenario, brokers: readonly BrokerProcess[], options: RaceOptions) {
  const random = createRandom(options.seed, scenario.name)
  const rounds = scenario.share(options.rounds)
  const outcomes: Record<string, number> = {}
  const faults: string[] = []
  let [faultyRounds, repeated] = [0, 0]
  const [startedAt, decidedBefore] = [performance.now(), await decisions(brokers)]
  for (let i = 0; i < rounds; i++) {
    if (options.isOver()) throw new Error(`ended before round ${i} of: ${scenario.name}`)
    const account = `${scenarios.indexOf(scenario)}-${i + repeated}`
    const round = scenario.round(account, options.requests, random, i % 2 === 1)
    const { answers, fault } = await runRound(scenario, round, brokers, i)
    if (answers.some((one) => outOfOrder.has(one)) && scenario.excess(round, answers) === null) {
      if (++repeated > 10 + rounds / 10) throw new Error(`the brokers are not in order: ${answers.join(', ')}`)
      i--
      await pause(1000)
      continue
    }
    for (const answer of answers) outcomes[answer] = (outcomes[answer] ?? 0) + 1
    if (fault === null) continue
    faultyRounds++
    if (faults.length < 10) faults.push(`round ${i}: ${fault}`)
  }
  const requests = rounds * options.requests
  const decided = (await decisions(brokers)) - decidedBefore
  const decisionsPerRequest = decided / (requests + repeated * options.requests)
  const seconds = (performance.now() - startedAt) / 1000
  return {
    name: scenario.name,
    rounds,
    requests,
    outcomes,
    decisionsPerRequest,
    faults,
    faultyRounds,
    repeated,
    seconds,
  }
}

async function runRound(scenario: Scenario, round: Round, brokers: readonly BrokerProcess[], number: number) {
  const opener = brokers[number % brokers.length]
  if (opener === undefined) throw new Error('races need a broker')
  const tasks = await opener.ask<string[]>({ what: 'open', round })
  const entries = round.requests.flatMap(({ task, action, resource }) => {
    const [caller, id] = [round.tasks[task], tasks[task]]
    return caller && id ? [{ caller, task: id, action, resource }] : []
  })
  // Long enough for the order to reach all of them: they begin in the same millisecond, as far as one machine can.
  const at = Date.now() + 10
  const parts = await Promise.all(
    brokers.map((broker, b) =>
      broker.ask<string[]>({ what: 'race', at, entries: entries.filter((_, i) => i % brokers.length === b) }),
    ),
  )
  const answers = entries.map((_, i) => parts[i % brokers.length]?.[Math.floor(i / brokers.length)] ?? 'missing')
  const held = await opener.ask<{ state: string; action: string }[]>({ what: 'held', tasks })
  return { answers, fault: scenario.fault(round, answers) ?? misheld(round, answers, held) }
}

/** The ledger has to hold what the callers were given, neither more nor less. */
function misheld(round: Round, answers: Outcomes, held: readonly { state: string; action: string }[]): string | null {
  const given = round.requests.flatMap(({ action }, i) => (answers[i] === 'issued' ? [`active ${action}`] : []))
  const there = held.map(({ state, action }) => `${state} ${action}`)
  const [a, b] = [given.sort().join(', '), there.sort().join(', ')]
  return a === b ? null : `given: ${a}; in the ledger: ${b}`
}

async function decisions(brokers: readonly BrokerProcess[]): Promise<number> {
  const counts = await Promise.all(brokers.map((broker) => broker.ask<number>({ what: 'decisions' })))
  return counts.reduce((sum, count) => sum + count, 0)
}
