// Hallpass as an operator runs it: its own programs from the build, a real Redis with an append-only file, the audit on disk.
// Only the limits are raised, since one account of a bench asks more often than any pipeline.
import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../src/core/clock.js'
import { createMissingKeys } from '../../src/signing/key-rotation.js'
import { freePort } from '../servers/free-port.js'
import { stopByPid } from '../servers/processes.js'

const hallpass = fileURLToPath(new URL('../../src/bin/hallpass.js', import.meta.url))

export interface Ground {
  readonly directory: string
  readonly configFile: string
  /** Where `serve` listens, and its issuer. */
  readonly url: string
  readonly redisUrl: string
  readonly prefix: string
  readonly sealingKey: string
  readonly subjectIssuer: string
  readonly issuerKey: Readonly<Record<string, unknown>>
  /** A subject token of the workload `name`, good for an hour. */
  token(name: string): string
}

/** Lays configuration, policies and keys in `directory`. */
export async function layGround(directory: string, redisUrl: string): Promise<Ground> {
  const url = `http://127.0.0.1:${await freePort()}`
  const prefix = `bench-${randomBytes(4).toString('hex')}`
  const sealingKey = randomBytes(32).toString('base64')
  const subjectIssuer = 'https://issuer.bench.example'
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuerKey = { ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'ES256', use: 'sig' }
  mkdirSync(join(directory, 'policies'), { recursive: true, mode: 0o700 })
  writeFileSync(join(directory, 'issuer.jwks.json'), JSON.stringify({ keys: [issuerKey] }))
  writeFileSync(join(directory, 'sealing.key'), sealingKey, { mode: 0o600 })
  writeFileSync(join(directory, 'policies', 'bench.cedar'), policies)
  const configFile = join(directory, 'hallpass.yaml')
  writeFileSync(configFile, configuration({ url, redisUrl, prefix, subjectIssuer }))
  await createMissingKeys(join(directory, 'keys'), systemClock)
  const token = (name: string) => {
    const iat = Math.floor(Date.now() / 1000)
    const claims = { iss: subjectIssuer, sub: name, aud: url, iat, exp: iat + 3600, team: 'web' }
    return signToken(privateKey, claims)
  }
  return { directory, configFile, url, redisUrl, prefix, sealingKey, subjectIssuer, issuerKey, token }
}

/** A JWT by the key whose `kid` is `bench`. */
export function signToken(key: KeyObject, claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${part({ alg: 'ES256', typ: 'JWT', kid: 'bench' })}.${part(claims)}`
  // RFC 7518 section 3.4: the signature is R and S side by side.
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

const policies = `@id("agents-read")
@max_ttl("1h")
permit (principal in Issuer::"agents", action == Action::"report.read", resource is Repo)
when { resource has sensitivity && resource.sensitivity == "low" && principal has team };

@id("agents-deploy")
permit (principal in Issuer::"agents", action == Action::"deploy.run", resource is Repo)
when { resource has environment && resource.environment == "staging" };

@id("no-deploy-after-a-database-write")
forbid (principal, action in Action::"deploy", resource)
when { context.session.granted.contains("database.migrate") };

@id("no-flood-of-read-leases")
forbid (principal, action in Action::"read", resource)
when { context.recent_denials > 100 };
`

const configuration = (on: { url: string; redisUrl: string; prefix: string; subjectIssuer: string }) => `
issuer: ${on.url}
listen: ${new URL(on.url).host}
redis: { url: ${on.redisUrl}, prefix: ${on.prefix} }
keys: { directory: ./keys, sealing: file:sealing.key }
audit: { directory: ./audit, instance: bench }
policies: ./policies
issuers:
  agents:
    type: oidc
    issuer: ${on.subjectIssuer}
    audience: ${on.url}
    algorithms: [ES256]
    jwks: { file: issuer.jwks.json }
    attributes: { team: { claim: team, type: string } }
resources:
  "repo:acme/web": { sensitivity: low, environment: staging }
  "database:orders": { sensitivity: high, environment: production }
grants:
  report.read:
    access: read
    resource: repo
    provider: tokens
    ttl: { default: 5m, max: 1h }
    recipe: { audience: https://reports.acme.example, scope: [read], verified_by: introspection }
  deploy.run:
    access: deploy
    resource: repo
    provider: tokens
    ttl: { default: 2m, max: 10m }
    recipe: { audience: https://deploy.acme.example, scope: [deploy], verified_by: introspection }
  database.migrate:
    access: write
    resource: database
    provider: tokens
    ttl: { default: 2m, max: 10m }
    recipe: { audience: https://migrate.acme.example, scope: [migrate], verified_by: introspection }
providers:
  tokens: { type: jwt }
limits:
  task: { active_leases: 10000000 }
  account: { active_leases: 10000000, open_tasks: 1000000, requests_per_minute: 10000000 }
  provider: { active_leases: 10000000 }
`

export interface RunningProgram {
  readonly pid: number
  stop(): Promise<void>
}

/** Starts `hallpass serve` or `hallpass worker` with what it logs by default, into a file. */
export function startProgram(program: 'serve' | 'worker', ground: Ground): RunningProgram {
  const log = openSync(join(ground.directory, `${program}.log`), 'a')
  // BENCH_NODE_OPTIONS="--cpu-prof" profiles both.
  const extra = process.env.BENCH_NODE_OPTIONS?.split(' ') ?? []
  const args = [...extra, hallpass, program, '--config', ground.configFile]
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', log, log] })
  return { pid: child.pid ?? 0, stop: () => stopByPid(child) }
}

/** Milliseconds from `startedAt` until credentials can be issued. Throws when they never can. */
export async function untilReadyMs(ground: Ground, startedAt: number): Promise<number> {
  await untilAnswered(`${ground.url}/readyz`)
  return performance.now() - startedAt
}

/** Resolves when `serve` listens, which it does with no worker there yet. */
export const untilServing = (ground: Ground) => untilAnswered(`${ground.url}/healthz`)

async function untilAnswered(url: string): Promise<void> {
  const end = performance.now() + 120_000
  while (performance.now() < end) {
    const isThere = await fetch(url).then(
      (answer) => answer.status === 200,
      () => false,
    )
    if (isThere) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`Hallpass did not become ready: ${url} never answered 200`)
}

/** What both programs logged last, for whoever has to find out why a bench failed. */
export function lastWords(ground: Ground): string {
  const tail = (program: string) => readFileSync(join(ground.directory, `${program}.log`), 'utf8').slice(-2000)
  return ['serve', 'worker'].map((program) => `${program}: …${tail(program)}`).join('\n')
}
