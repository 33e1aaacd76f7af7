// Installs moto, a real STS and IAM for tests and the demo, into ~/.cache/hallpass/moto. Does nothing where it is already.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const home = join(homedir(), '.cache', 'hallpass', 'moto')
const program = join(home, 'bin', 'moto_server')

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  if (error || status !== 0) {
    console.error(`${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ` with ${status}`}`)
    process.exit(1)
  }
}

/** A venv that was cut off half-way has the program but does not run it. */
const works = () => existsSync(program) && spawnSync(program, ['--help'], { stdio: 'ignore' }).status === 0

if (!works()) {
  run('python3', ['-m', 'venv', '--clear', home])
  run(join(home, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', 'moto[server]==5.2.*'])
  if (!works()) {
    console.error(`${program} was installed and does not run`)
    process.exit(1)
  }
}
console.log(program)
