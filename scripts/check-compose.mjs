// Checks docker-compose.yml without starting anything: with Compose itself where this machine has it, else as YAML alone.
// `--require`: no Compose is a failure. Plain JavaScript; needs only the packages.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseDocument } from 'yaml'

const file = fileURLToPath(new URL('../docker-compose.yml', import.meta.url))
const candidates = [['docker', 'compose'], ['docker-compose']]

const document = parseDocument(readFileSync(file, 'utf8'), { merge: true })
for (const problem of [...document.errors, ...document.warnings])
  console.error(`docker-compose.yml: ${problem.message}`)
if (document.errors.length > 0) process.exit(1)
console.log(`docker-compose.yml: YAML, ${Object.keys(document.toJS().services).length} services`)

const compose = candidates.find(([program, ...words]) => spawnSync(program, [...words, 'version']).status === 0)
if (compose === undefined) {
  console.error('docker-compose.yml: not checked by Compose: install docker-compose (Debian) or the Docker plugin')
  process.exit(process.argv.includes('--require') ? 1 : 0)
}
const [program, ...words] = compose
const checked = spawnSync(program, [...words, '-f', file, 'config', '-q'], { stdio: 'inherit' })
console.log(
  `docker-compose.yml: ${[program, ...words].join(' ')} config -q: ${checked.status === 0 ? 'ok' : 'refused'}`,
)
process.exit(checked.status ?? 1)
