// Installs moto, a real STS and IAM for tests and the demo, into ~/.cache/hallpass/moto. Does nothing where it is already.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { inAttempts } from './attempts.mjs'

const home = join(homedir(), '.cache', 'hallpass', 'moto')
const program = join(home, 'bin', 'moto_server')

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  if (error || status !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${error ? error.message : status}`)
  }
}

async function install() {
  run('python3', ['-m', 'venv', '--clear', home])
  const pip = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--timeout',
    '60',
    'moto[server]==5.2.*',
  ]
  await inAttempts('installing moto', () => run(join(home, 'bin', 'python'), pip))
  if (!works()) throw new Error(`${program} was installed and does not run`)
}

/** A venv that was cut off half-way has the program but does not run it. */
const works = () => existsSync(program) && spawnSync(program, ['--help'], { stdio: 'ignore' }).status === 0

try {
  if (!works()) await install()
  console.log(program)
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
