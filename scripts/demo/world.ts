// Everything that the story plays in: servers, identities, a configuration, and Hallpass itself as two programs.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type DeployService, startDeployService } from './deploy-service.js'
import { forgetKeys } from './forget-keys.js'
import { type Answer, type CallOptions, call } from './http-call.js'
import { type Identities, startIdentities } from './identities.js'
import { type Program, spawnProgram, untilStarted } from './program.js'
import { type Servers, startServers } from './servers.js'
import type { Undo } from './undo.js'

export interface Ran {
  readonly code: number
  readonly stdout: string
  /** Both streams, for when it is not as expected. */
  readonly output: string
}

export interface World {
  readonly url: string
  readonly configFile: string
  readonly directory: string
  readonly servers: Servers
  readonly identities: Identities
  readonly deploy: DeployService
  readonly programs: readonly Program[]
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
  /** `hallpass …` as somebody types it; `token` is who they are. */
  run(args: readonly string[], token?: string, env?: Record<string, string>): Promise<Ran>
}

/** Of the package: from scripts/demo, or from dist/scripts/demo. */
const root = fileURLToPath(new URL(import.meta.url.includes('/dist/') ? '../../../' : '../../', import.meta.url))
export const hallpassProgram = join(root, 'dist', 'src', 'bin', 'hallpass.js')

export interface WorldOptions {
  /** Private and empty; whoever made it removes it. */
  readonly directory: string
  readonly port: number
  readonly undo: Undo
  say(line: string): void
}

/** Starts everything. What was started is ended by `undo`, also when this throws half-way. */
export async function createWorld({ directory, port, undo, say }: WorldOptions): Promise<World> {
  const url = `http://127.0.0.1:${port}`
  const servers = await startServers(directory, `${url}/federation`, undo, say)
  const identities = await startIdentities(url, undo)
  const redisPrefix = `hallpass-demo-${randomBytes(4).toString('hex')}`
  if (servers.redis.how === 'REDIS_URL') undo.add(() => forgetKeys(servers.redis.url, redisPrefix))
  const configFile = await writeConfig(directory, { url, servers, identities, redisPrefix })
  const run = runner(url, configFile)
  const keys = await run(['keys', 'create', '--config', configFile])
  if (keys.code !== 0) throw new Error(`no keys could be made:\n${keys.output}`)
  const programs = (['serve', 'worker'] as const).map((name) => {
    const program = spawnProgram(name, { hallpass: hallpassProgram, configFile, env: { HALLPASS_LOG_LEVEL: 'info' } })
    undo.add(() => endProgram(program))
    return program
  })
  await Promise.all(programs.map((program) => untilStarted(program)))
  const request = (method: string, path: string, options?: CallOptions) => askPatiently(url, method, path, options)
  await untilReady(url)
  await Promise.all([servers.vault.setUp(), servers.sts.setUp()])
  const deploy = await startDeployService(url, () => identities.agent('/ns/deploy/sa/gateway'))
  undo.add(() => deploy.stop())
  return { url, configFile, directory, servers, identities, deploy, programs, call: request, run }
}

interface Filling {
  url: string
  servers: Servers
  identities: Identities
  redisPrefix: string
}

/** The files of config/demo with the addresses of this run in them. */
async function writeConfig(directory: string, { url, servers, identities, redisPrefix }: Filling): Promise<string> {
  const template = join(root, 'config', 'demo')
  await cp(join(template, 'policies'), join(directory, 'policies'), { recursive: true })
  // A Redis URL may hold a password: never in the configuration itself.
  await writeFile(join(directory, 'redis.url'), servers.redis.url, { mode: 0o600 })
  await writeFile(join(directory, 'sealing.key'), randomBytes(32).toString('base64'), { mode: 0o600 })
  await writeFile(join(directory, 'prod.bundle.json'), identities.bundle)
  const values: Record<string, string> = {
    HALLPASS_URL: url,
    LISTEN: url.replace('http://', ''),
    REDIS_PREFIX: redisPrefix,
    CI_ISSUER: identities.ciIssuer,
    STAFF_ISSUER: identities.staffIssuer,
    VAULT_ADDRESS: servers.vault.address,
    STS_ENDPOINT: servers.sts.endpoint,
  }
  const text = await readFile(join(template, 'hallpass.yaml'), 'utf8')
  const file = join(directory, 'hallpass.yaml')
  await writeFile(
    file,
    text.replace(/\benv:([A-Z_]+)/g, (whole, name: string) => values[name] ?? whole),
  )
  return file
}

/**
 * As any client: a 503 says when to ask again (Retry-After). What the first try may have left, a task that nobody knows of, ends by its
 * own time.
 */
async function askPatiently(url: string, method: string, path: string, options?: CallOptions): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const answer = await call(url, method, path, options)
    if (answer.status !== 503 || attempt === 5) return answer
    const seconds = Number(answer.headers['retry-after'] ?? 1)
    await new Promise((resolve) => setTimeout(resolve, Math.min(10, seconds || 1) * 1000))
  }
}

function runner(url: string, configFile: string): World['run'] {
  return (args, token, env = {}) =>
    new Promise((resolve) => {
      const identity = token === undefined ? {} : { HALLPASS_TOKEN: token }
      const options = { env: { ...process.env, HALLPASS_URL: url, HALLPASS_CONFIG: configFile, ...identity, ...env } }
      execFile(process.execPath, [hallpassProgram, ...args], options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
        resolve({ code, stdout, output: stdout + stderr })
      })
    })
}

/** A busy machine is no failure: for as long as a program may take to start. */
async function untilReady(url: string, seconds = 60): Promise<void> {
  const end = performance.now() + seconds * 1000
  for (;;) {
    const { status, text } = await call(url, 'GET', '/readyz')
    if (status === 200) return
    if (performance.now() > end) throw new Error(`Hallpass does not become ready: ${text}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Drains it; what does not end is killed, and said. */
async function endProgram(program: Program): Promise<void> {
  const late = setTimeout(() => void program.kill('SIGKILL'), 60_000)
  const { code } = await program.kill('SIGTERM')
  clearTimeout(late)
  if (code !== 0)
    throw new Error(`hallpass ${program.name} did not end as it should (${code}):\n${program.lastWords()}`)
}
