// A Redis to work with, the first that is there: REDIS_URL, a server on PATH, Docker, the system's package manager.
import { execFile, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { access, constants } from 'node:fs/promises'
import { createConnection, createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { makeFolder } from '../core/make-folder.js'

const run = promisify(execFile)

export interface FoundRedis {
  readonly url: string
  /** How it was come by, for the reader. */
  readonly how: string
  stop(): Promise<void>
}

/**
 * Finds or starts a Redis. Started ones listen on loopback, keep their append-only file in `directory`, and end with `stop`.
 * Throws with what to do when there is none and none can be had. `say` is told about anything that takes long.
 */
export async function findRedis(
  directory: string,
  environment: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<FoundRedis> {
  const given = environment.REDIS_URL
  if (given) return { url: given, how: 'REDIS_URL', stop: async () => undefined }
  const onPath = await findServer(environment)
  if (onPath) return await startRedis(onPath, directory)
  if (await hasDocker()) return await startInDocker(say)
  const installed = await installRedis(environment, say)
  if (installed) return await startRedis(installed, directory)
  throw new Error('no Redis: set REDIS_URL, or install redis-server or valkey-server')
}

/** The path of a Redis server program, installed with the system's package manager where there is none; null when it cannot be had. */
export async function findOrInstallServer(
  environment: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<string | null> {
  return (await findServer(environment)) ?? (await installRedis(environment, say))
}

const findServer = async (environment: NodeJS.ProcessEnv) =>
  (await findProgram('redis-server', environment)) ?? (await findProgram('valkey-server', environment))

/** The path of a program on PATH, or null. */
export async function findProgram(name: string, environment: NodeJS.ProcessEnv): Promise<string | null> {
  for (const folder of (environment.PATH ?? '').split(delimiter)) {
    const path = join(folder, name)
    const usable =
      folder !== '' &&
      (await access(path, constants.X_OK).then(
        () => true,
        () => false,
      ))
    if (usable) return path
  }
  return null
}

/**
 * A loopback port that nobody listens on at this moment. From below those that systems give to outgoing connections and to whoever
 * asks for any: one of these would be taken by somebody else before it is listened on, or while its server starts again.
 * `from` is the lowest, `below` is above the highest.
 */
export async function findFreePort(from = 10_000, below = 12_000): Promise<number> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const port = randomInt(from, below)
    if (await isFree(port)) return port
  }
  throw new Error('no free port')
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const listens = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
  })
  if (listens) await new Promise((resolve) => server.close(resolve))
  return listens
}

/** Starts a Redis as the ledger needs it: append-only file, no eviction, loopback alone. */
export async function startRedis(
  program: string,
  directory: string,
  port?: number,
  more: readonly string[] = [],
): Promise<FoundRedis & { pid: number; port: number }> {
  await makeFolder(directory)
  const chosen = port ?? (await findFreePort())
  const settings = [
    '--bind',
    '127.0.0.1',
    '--port',
    String(chosen),
    '--dir',
    directory,
    '--appendonly',
    'yes',
    '--save',
    '',
    '--maxmemory-policy',
    'noeviction',
    '--loglevel',
    'warning',
  ]
  const child = spawn(program, [...settings, ...more], { stdio: 'ignore', detached: true })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const failed = new Promise<never>((_, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`${program} ended with ${code} before it listened`)))
  })
  failed.catch(() => undefined)
  await Promise.race([untilListening(chosen), failed])
  return {
    url: `redis://127.0.0.1:${chosen}`,
    how: program,
    pid: child.pid ?? 0,
    port: chosen,
    async stop() {
      child.kill('SIGTERM')
      await gone
    },
  }
}

/** Resolves when a TCP connection is taken; rejects after 10 s. */
export async function untilListening(port: number): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = createConnection({ host: '127.0.0.1', port })
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('close', () => socket.destroy())
      socket.once('connect', () => socket.end())
    })
    if (open) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`nothing listens on port ${port}`)
}

const hasDocker = () =>
  run('docker', ['info'], { timeout: 5000 }).then(
    () => true,
    () => false,
  )

async function startInDocker(say: (line: string) => void): Promise<FoundRedis> {
  say('starting Redis in Docker')
  const port = await findFreePort()
  const name = `hallpass-redis-${port}`
  const args = [
    'run',
    '--rm',
    '-d',
    '--name',
    name,
    '-p',
    `127.0.0.1:${port}:6379`,
    'redis:7',
    'redis-server',
    '--appendonly',
    'yes',
    '--maxmemory-policy',
    'noeviction',
  ]
  await run('docker', args, { timeout: 180_000 })
  await untilListening(port)
  return {
    url: `redis://127.0.0.1:${port}`,
    how: 'Docker',
    stop: async () => void (await run('docker', ['stop', name])),
  }
}

const packageManagers: readonly { program: string; commands: readonly (readonly string[])[] }[] = [
  {
    program: 'apt-get',
    commands: [
      ['apt-get', 'update'],
      ['apt-get', 'install', '-y', '--no-install-recommends', 'redis-server'],
    ],
  },
  { program: 'dnf', commands: [['dnf', 'install', '-y', 'redis']] },
  { program: 'apk', commands: [['apk', 'add', 'redis']] },
  { program: 'pacman', commands: [['pacman', '-S', '--noconfirm', 'redis']] },
  { program: 'brew', commands: [['brew', 'install', 'redis']] },
]

async function installRedis(environment: NodeJS.ProcessEnv, say: (line: string) => void): Promise<string | null> {
  for (const { program, commands } of packageManagers) {
    if (!(await findProgram(program, environment))) continue
    say(`installing Redis with ${program}`)
    try {
      for (const command of commands) await runAsAdministrator(command, environment, program !== 'brew')
    } catch {
      say(`${program} could not install Redis`)
      continue
    }
    return await findServer(environment)
  }
  return null
}

async function runAsAdministrator(
  command: readonly string[],
  environment: NodeJS.ProcessEnv,
  needsRoot: boolean,
): Promise<void> {
  // Never asks for a password: who starts a demo is not asked for root.
  const words = needsRoot && process.getuid?.() !== 0 ? ['sudo', '-n', ...command] : command
  const [program = '', ...args] = words
  // The package's own service would take the usual port; ours is started by hand.
  await run(program, args, {
    timeout: 300_000,
    env: { ...environment, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  })
}
