// `npm run races`: simultaneous requests that may not be held together, a thousand rounds by default; in every other round half
// of the tasks are children of the others.
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Races, runRaces } from './run-races.js'

const usage = `npm run races -- [--rounds N] [--brokers N] [--requests N] [--seed S] [--json]
  --rounds N    of deployments against database writes (default 1000); each of the other rules gets a tenth
  --brokers N   broker processes on one Redis (default 4)
  --requests N  simultaneous requests of a round (default 64)
  --seed S      makes a run's choices again (default: a new one, printed)
  --json        one JSON object on stdout
Exits 0 when in each round exactly the allowed set was issued, 1 when not.
`

async function main(): Promise<number> {
  const options = {
    rounds: { type: 'string', default: '1000' },
    brokers: { type: 'string', default: '4' },
    requests: { type: 'string', default: '64' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  } as const
  const { values } = parseArgs({ options })
  const [rounds, brokers, requests] = [Number(values.rounds), Number(values.brokers), Number(values.requests)]
  const seed = values.seed === undefined ? randomInt(1_000_000) : Number(values.seed)
  const isCount = (count: number, most: number) => Number.isInteger(count) && count > 0 && count <= most
  const valid = isCount(rounds, 100_000) && isCount(brokers, 64) && isCount(requests, 1000) && Number.isInteger(seed)
  if (values.help || !valid) {
    process.stderr.write(usage)
    return values.help ? 0 : 2
  }
  let isOver = false
  // Brokers, Redis and what they wrote are cleared away all the same.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (isOver = true))
  const races = await runRaces({
    isOver: () => isOver,
    seed,
    rounds,
    brokers,
    requests,
    program: fileURLToPath(new URL('program.js', import.meta.url)),
    say: (line) => void process.stderr.write(`races: ${line}\n`),
  })
  process.stdout.write(values.json ? `${JSON.stringify(races, null, 2)}\n` : printRaces(races))
  return races.passed ? 0 : 1
}

function printRaces({ seed, brokers, results, passed }: Races): string {
  const width = Math.max(...results.map(({ name }) => name.length))
  const lines = results.map((one) => {
    const outcomes = Object.entries(one.outcomes).sort(([a], [b]) => (a < b ? 1 : -1))
    const counts = outcomes.map(([outcome, count]) => `${outcome} ${count.toLocaleString('en-US')}`).join(', ')
    const again = one.repeated > 0 ? `; ${one.repeated} run again after a 503` : ''
    const exact = one.rounds - one.faultyRounds
    const decided = `${one.decisionsPerRequest.toFixed(2)} decisions a request`
    return `  ${one.name.padEnd(width)}  ${`${exact} of ${one.rounds}`.padStart(12)}  ${counts}; ${decided}; ${one.seconds.toFixed(0)} s${again}`
  })
  const faults = results.flatMap(({ name, faults }) => faults.map((fault) => `  ${name}: ${fault}`))
  const head = `\n  rounds in which exactly the allowed set was issued (${brokers} broker processes, seed ${seed})\n`
  const verdict = passed ? '  every round' : '  NOT every round'
  return [head, ...lines, ...faults, '', verdict, ''].join('\n')
}

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    process.stderr.write(`races: ${error.message}\n`)
    process.exit(1)
  },
)
