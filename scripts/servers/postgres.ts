// A PostgreSQL of our own for tests and the demo: Debian's programs, a private folder, loopback only, gone at the end.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { freePort } from './free-port.js'
import { stopByPid, waitUntil } from './processes.js'

export interface RunningPostgres {
  port: number
  /** postgresql:// URL of the superuser, password included. */
  url: string
  pid: number
  stop(): Promise<void>
}

/** The folder of initdb and postgres, newest first, or null. */
export function findPostgres(): string | null {
  const onPath = (process.env.PATH ?? '').split(delimiter)
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [...versions.map((version) => join(debian, version, 'bin')), ...onPath]
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres'))) ?? null
}

/** Starts one and waits until it takes logins. Throws when there are no programs or it does not come up. */
export async function startPostgres(): Promise<RunningPostgres> {
  const bin = findPostgres()
  if (bin === null) throw new Error('PostgreSQL is not installed (Debian: apt-get install postgresql)')
  const owner = unprivilegedUser()
  const home = mkdtempSync(join(tmpdir(), 'hallpass-postgres-'))
  const password = randomBytes(16).toString('hex')
  const passwordFile = join(home, 'password')
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (owner) for (const path of [home, passwordFile]) chownSync(path, owner.uid, owner.gid)
  chmodSync(home, 0o700)
  const as = owner ? { uid: owner.uid, gid: owner.gid } : {}
  const data = join(home, 'data')
  const initArgs = [
    '-D',
    data,
    '-U',
    'postgres',
    '-A',
    'scram-sha-256',
    '--pwfile',
    passwordFile,
    '-E',
    'UTF8',
    '--no-sync',
  ]
  execFileSync(join(bin, 'initdb'), initArgs, { ...as, cwd: home, stdio: 'pipe', env: { ...process.env, LC_ALL: 'C' } })
  const port = await freePort()
  const settings = ['fsync=off', 'listen_addresses=127.0.0.1', `unix_socket_directories=${home}`, 'shared_buffers=32MB']
  const args = ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])]
  const child = spawn(join(bin, 'postgres'), args, { ...as, cwd: home, stdio: 'ignore' })
  const { pid } = child
  if (pid === undefined) throw new Error('postgres could not be started')
  const ready = () => spawnSync(join(bin, 'pg_isready'), ['-q', '-h', '127.0.0.1', '-p', String(port)]).status === 0
  const stop = async () => {
    // SIGINT: ends open sessions instead of waiting for them.
    await stopByPid(child, 'SIGINT')
    rmSync(home, { recursive: true, force: true, maxRetries: 5 })
  }
  try {
    await waitUntil('postgres', async () => {
      if (child.exitCode !== null) throw new Error(`postgres ended at once with ${child.exitCode}`)
      return ready()
    })
  } catch (error) {
    await stop()
    throw error
  }
  return {
    port,
    url: `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`,
    pid,
    stop,
  }
}

/** PostgreSQL refuses to run as root: then the package's own user, or null when we are not root. */
function unprivilegedUser(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }).trim())
  return { uid: id('-u'), gid: id('-g') }
}
