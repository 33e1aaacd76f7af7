// A whole Hallpass for e2e tests, all of it real: Redis, an OIDC issuer for CI and one for operators, a SPIFFE domain, a
// configuration in a private folder, and `serve` and `worker` (or `dev`) as child processes of the build in dist/.
//
//   const stack = await startStack()                                   // serve + worker, ready to issue
//   const { status, body } = await stack.call('POST', '/v1/tasks', { token: await stack.ciToken(), body: { purpose: 'x' } })
//   await stack.programs.worker?.kill('SIGKILL'); await stack.start('worker')
//   await stack.restart('serve')                                       // SIGTERM, wait, start
//   await stack.redis.stop(); await stack.redis.start()                // an outage; its append-only file stays
//   stack.auditRecords()                                               // every record of every chain, by time
//   await stack.run('audit', 'verify')                                 // the command: { code, stdout, stderr }
//   await stack.stop()                                                 // in afterAll: ends every child, removes the folder
//
// Options: `programs` (default serve and worker; [] starts none), `settings` (changes hallpass.yaml before it is written),
// `policies` (Cedar text instead of `stackPolicies`), `env`. HALLPASS_DIST names another build than dist/.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Answer, type CallOptions, call } from '../../scripts/demo/http-call.js'
import { type Program, type ProgramName, spawnProgram, untilStarted } from '../../scripts/demo/program.js'
import { freePort } from '../../scripts/servers/free-port.js'
import { type OidcIssuer, startOidcIssuer } from '../../scripts/servers/stand-ins/oidc-issuer.js'
import { createSpiffeDomain, type SpiffeDomain } from '../../scripts/servers/stand-ins/spiffe-domain.js'
import { systemClock } from '../../src/core/clock.js'
import { createMissingKeys } from '../../src/signing/key-rotation.js'
import { type StackRedis, startStackRedis } from './stack-redis.js'
import { ciClaims, type StackSettings, stackPolicies, stackSettings } from './stack-settings.js'

export interface StackOptions {
  readonly programs?: readonly ProgramName[]
  settings?(base: StackSettings): StackSettings
  readonly policies?: string
  readonly env?: Readonly<Record<string, string | undefined>>
  /** What is started in place of the built command, with the same arguments. */
  readonly program?: string
}

export interface Stack {
  /** The broker's address, and its issuer. */
  readonly url: string
  /** Private, removed by `stop`. Holds hallpass.yaml, policies/, keys/, audit/. */
  readonly directory: string
  readonly configFile: string
  readonly ci: OidcIssuer
  readonly staff: OidcIssuer
  readonly spiffe: SpiffeDomain
  readonly redis: StackRedis
  /** The running programs, or the last of that name that ran. */
  readonly programs: Partial<Record<ProgramName, Program>>
  /** Resolves when it says that it started. */
  start(name: ProgramName, env?: Readonly<Record<string, string | undefined>>): Promise<Program>
  /** Starts it and does not wait: for programs that are expected to refuse to start. */
  spawn(name: ProgramName, env?: Readonly<Record<string, string | undefined>>): Program
  restart(name: ProgramName, signal?: NodeJS.Signals): Promise<Program>
  /** Until /readyz says that credentials can be issued. */
  untilReady(seconds?: number): Promise<void>
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
  /** `hallpass …` against this stack: HALLPASS_CONFIG and HALLPASS_URL are set; HALLPASS_TOKEN with `runAs`. */
  run(...args: string[]): Promise<Ran>
  runAs(token: string, ...args: string[]): Promise<Ran>
  /** A GitHub Actions token of repo:acme/web, run 100; `changes` go over its claims. */
  ciToken(changes?: Readonly<Record<string, unknown>>): Promise<string>
  /** A JWT-SVID; by default of /agent/ana/coder. */
  svid(path?: string): Promise<string>
  /** Of somebody with the role sre, who may view, revoke and audit. */
  operatorToken(changes?: Readonly<Record<string, unknown>>): Promise<string>
  /** Every record of every chain, oldest first; `chain` is the folder's name, such as `test-serve`. */
  auditRecords(): AuditLine[]
  stop(): Promise<void>
}

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export type AuditLine = {
  readonly chain: string
  readonly event: string
  readonly time: string
  readonly seq: number
} & {
  readonly [member: string]: unknown
}

const root = fileURLToPath(new URL('../../', import.meta.url))
export const hallpassProgram = join(process.env.HALLPASS_DIST ?? join(root, 'dist'), 'src', 'bin', 'hallpass.js')

/** Longer than any file takes: one that signs its token at the start may run on a busy machine. */
const tokenSeconds = 3600
const inAnHour = () => Math.floor(systemClock.now() / 1000) + tokenSeconds
const olga = { sub: 'olga', aud: 'hallpass-operators', email: 'olga@acme.example', groups: ['sre'] }

/** Starts everything and, when a broker is among the programs, waits until it is ready to issue. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const directory = mkdtempSync(join(tmpdir(), 'hallpass-stack-'))
  const undo: (() => Promise<void>)[] = [async () => rmSync(directory, { recursive: true, force: true })]
  const stopAll = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    const prefix = `test-${randomBytes(6).toString('hex')}`
    const redis = await startStackRedis(join(directory, 'redis'), prefix)
    undo.push(() => redis.end())
    const [ci, staff] = [await startOidcIssuer(), await startOidcIssuer()]
    undo.push(
      () => ci.stop(),
      () => staff.stop(),
    )
    const spiffe = await createSpiffeDomain('prod.acme.example')
    const url = `http://127.0.0.1:${await freePort()}`
    const base = stackSettings({ url, redisUrl: redis.url, prefix, ci: ci.issuer, staff: staff.issuer })
    const configFile = await writeFiles(directory, options, base, spiffe)
    // Programs may be killed, hung, drained or doubled by their test: whatever still lives is ended at the end.
    const started: Program[] = []
    undo.push(async () => void (await Promise.all(started.map((program) => program.kill('SIGKILL')))))
    const fixed = { url, directory, configFile, ci, staff, spiffe, redis }
    const stack = createStack(fixed, options, started, stopAll)
    const programs = options.programs ?? ['serve', 'worker']
    await Promise.all(programs.map((name) => stack.start(name)))
    if (programs.includes('dev') || (programs.includes('serve') && programs.includes('worker')))
      await stack.untilReady()
    return stack
  } catch (error) {
    await stopAll()
    throw error
  }
}

type Fixed = Pick<Stack, 'url' | 'directory' | 'configFile' | 'ci' | 'staff' | 'spiffe' | 'redis'>

function createStack(fixed: Fixed, options: StackOptions, started: Program[], stop: () => Promise<void>): Stack {
  const { url, directory, configFile, ci, staff, spiffe } = fixed
  const programs: Partial<Record<ProgramName, Program>> = {}
  const optionsOf = (env: Readonly<Record<string, string | undefined>> = {}) => ({
    hallpass: options.program ?? hallpassProgram,
    configFile,
    env: { HALLPASS_LOG_LEVEL: 'info', ...options.env, ...env },
  })
  const stack: Stack = {
    ...fixed,
    programs,
    async start(name, env) {
      const program = stack.spawn(name, env)
      await untilStarted(program)
      return program
    },
    spawn(name, env) {
      const program = spawnProgram(name, optionsOf(env))
      started.push(program)
      programs[name] = program
      return program
    },
    async restart(name, signal) {
      await programs[name]?.kill(signal)
      return await stack.start(name)
    },
    untilReady: (seconds = 60) => untilReady(url, programs, seconds),
    call: (method, path, given) => call(url, method, path, given),
    run: (...args) => run(args, { HALLPASS_CONFIG: configFile, HALLPASS_URL: url }),
    runAs: (token, ...args) => run(args, { HALLPASS_CONFIG: configFile, HALLPASS_URL: url, HALLPASS_TOKEN: token }),
    ciToken: (changes = {}) => ci.sign({ ...ciClaims(url), exp: inAnHour(), ...changes }),
    svid: (path = '/agent/ana/coder') => spiffe.signJwtSvid(path, url, { ttl: tokenSeconds }),
    operatorToken: (changes = {}) => staff.sign({ ...olga, exp: inAnHour(), ...changes }),
    auditRecords: () => readAudit(join(directory, 'audit')),
    stop,
  }
  return stack
}

function run(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [hallpassProgram, ...args],
      { env: { ...process.env, ...env } },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
        resolve({ code, stdout, stderr })
      },
    )
  })
}

async function writeFiles(directory: string, options: StackOptions, base: StackSettings, spiffe: SpiffeDomain) {
  const configFile = join(directory, 'hallpass.yaml')
  mkdirSync(join(directory, 'policies'))
  writeFileSync(join(directory, 'policies', 'stack.cedar'), options.policies ?? stackPolicies)
  writeFileSync(join(directory, 'sealing.key'), randomBytes(32).toString('base64'), { mode: 0o600 })
  writeFileSync(join(directory, 'prod.bundle.json'), spiffe.bundle)
  // JSON is YAML: what a test changes needs no formatter.
  writeFileSync(configFile, JSON.stringify(options.settings?.(base) ?? base, null, 2))
  await createMissingKeys(join(directory, 'keys'), systemClock)
  return configFile
}

async function untilReady(url: string, programs: Partial<Record<ProgramName, Program>>, seconds: number) {
  const end = performance.now() + seconds * 1000
  for (;;) {
    const answer = await call(url, 'GET', '/readyz').catch((error: Error) => error)
    if (!(answer instanceof Error) && answer.status === 200) return
    if (performance.now() > end) {
      const said = Object.values(programs).map((one) => `--- ${one.name}\n${one.lastWords()}`)
      throw new Error(`not ready: ${answer instanceof Error ? answer.message : answer.text}\n${said.join('\n')}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function readAudit(directory: string): AuditLine[] {
  const records = readdirSync(directory).flatMap((chain) =>
    readdirSync(join(directory, chain))
      .filter((file) => /^[0-9]+\.jsonl$/.test(file))
      .flatMap((file) =>
        readFileSync(join(directory, chain, file), 'utf8')
          .split('\n')
          .slice(0, -1),
      )
      .map((line) => ({ ...(JSON.parse(line) as Omit<AuditLine, 'chain'>), chain }) as AuditLine),
  )
  return records.sort((a, b) => a.time.localeCompare(b.time))
}
