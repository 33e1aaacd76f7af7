// `npm run soak`: what goes wrong for minutes, and what is left of it.
import { randomInt } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { printTable } from './report.js'
import { runSoak } from './soak.js'

const usage = `npm run soak -- [--minutes N] [--seed S] [--callers N] [--stand-ins] [--json]
  --minutes N   how long load and faults go on (default 5; start, end and verdict come on top)
  --seed S      makes a run's choices again (default: a new one, printed)
  --callers N   workloads that ask at once (default 32)
  --stand-ins   the stand-in although a real Vault is there: dynamic secrets are asked for too
  --json        one JSON object on stdout
Exits 0 when every check holds, 1 when one does not.
`

async function main(): Promise<number> {
  const options = {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string' },
    callers: { type: 'string', default: '32' },
    'stand-ins': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  } as const
  const { values } = parseArgs({ options })
  const [minutes, callers] = [Number(values.minutes), Number(values.callers)]
  const seed = values.seed === undefined ? randomInt(1_000_000) : Number(values.seed)
  const valid = minutes > 0 && minutes <= 1440 && Number.isInteger(seed) && Number.isInteger(callers) && callers > 0
  if (values.help || !valid) {
    process.stderr.write(usage)
    return values.help ? 0 : 2
  }
  const outcome = await runSoak({
    seed,
    seconds: minutes * 60,
    callers,
    scale: minutes < 1 ? 0.4 : 1,
    standIns: values['stand-ins'],
    secrets: values['stand-ins'],
    hallpass: fileURLToPath(new URL('../../src/bin/hallpass.js', import.meta.url)),
    say: (line) => void process.stderr.write(`soak: ${line}\n`),
  })
  process.stdout.write(values.json ? `${JSON.stringify(outcome, null, 2)}\n` : printTable(outcome))
  return outcome.passed ? 0 : 1
}

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    process.stderr.write(`soak: ${error.stack ?? error.message}\n`)
    process.exit(1)
  },
)
