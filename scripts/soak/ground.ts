// Everything a soak runs on: Redis behind a line, issuers, providers, and two brokers and two workers of the build.
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { systemClock } from '../../src/core/clock.js'
import { findOrInstallServer, startRedis } from '../../src/dev/redis.js'
import { createMissingKeys } from '../../src/signing/key-rotation.js'
import { freePort } from '../servers/free-port.js'
import { waitUntil } from '../servers/processes.js'
import { type OidcIssuer, startOidcIssuer } from '../servers/stand-ins/oidc-issuer.js'
import type { Book } from './book.js'
import { type FarSide, startStsSide, startVaultSide } from './far-sides.js'
import { type Line, startLine } from './line.js'
import { type Mortal, startMortal } from './programs.js'
import { type Addresses, configuration, policies } from './settings.js'

export interface SoakRedis {
  readonly prefix: string
  /** Straight to the server, past the line of the programs. */
  readonly client: Redis
  readonly line: Line
  /** SIGKILL; its append-only file stays. */
  kill(): Promise<void>
  start(): Promise<void>
}

export interface Ground {
  readonly directory: string
  /** The built `dist/src/bin/hallpass.js`. */
  readonly hallpass: string
  readonly issuer: string
  readonly ci: OidcIssuer
  readonly staff: OidcIssuer
  readonly redis: SoakRedis
  readonly vault: FarSide
  readonly sts: FarSide
  readonly serves: readonly [Mortal, Mortal]
  readonly workers: readonly [Mortal, Mortal]
  /** Until both brokers say that credentials can be issued. */
  untilReady(seconds: number): Promise<void>
  stop(): Promise<void>
}

export interface GroundOptions {
  readonly seed: number
  readonly hallpass: string
  readonly standIns: boolean
  readonly book: Book
}

/** Starts all of it; whatever was started is ended again when something cannot be. */
export async function startGround(options: GroundOptions): Promise<Ground> {
  const directory = mkdtempSync(join(tmpdir(), 'hallpass-soak-'))
  const undo: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    return await startOn(directory, options, undo, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

async function startOn(
  directory: string,
  { seed, hallpass, standIns, book }: GroundOptions,
  undo: (() => unknown)[],
  stop: () => Promise<void>,
): Promise<Ground> {
  const add = <T extends { stop(): unknown }>(part: T): T => {
    undo.push(() => part.stop())
    return part
  }
  const redis = await startSoakRedis(directory, undo)
  const [ci, staff] = [add(await startOidcIssuer()), add(await startOidcIssuer())]
  const vault = add(await startVaultSide(seed, standIns))
  const sts = add(await startStsSide(seed))
  const ports = [await freePort(), await freePort()] as const
  const front = add(await startLine(ports))
  const issuer = `http://127.0.0.1:${front.port}`
  const on = { issuer, redis: `redis://127.0.0.1:${redis.line.port}`, prefix: redis.prefix, ci: ci.issuer }
  await writeFiles(directory, { ...on, staff: staff.issuer, vault: vault.line.address, sts: sts.line.address }, ports)
  const start = (name: 'serve' | 'worker', n: 0 | 1) =>
    add(
      startMortal({ name, title: `${name}-${n + 1}`, url: `http://127.0.0.1:${ports[n]}`, hallpass, directory, book }),
    )
  const ground: Ground = {
    ...{ directory, hallpass, issuer, ci, staff, redis, vault, sts },
    serves: [start('serve', 0), start('serve', 1)],
    workers: [start('worker', 0), start('worker', 1)],
    async untilReady(seconds) {
      const all = [...ground.serves, ...ground.workers]
      await Promise.all(all.map((one) => one.untilStarted(seconds)))
      for (const { url, title } of ground.serves) await untilSaysReady(url, title, seconds)
    },
    stop,
  }
  await ground.untilReady(90)
  await vault.trust(issuer)
  await sts.trust(issuer)
  return ground
}

/** Throws with what it says is wrong. */
async function untilSaysReady(url: string, title: string, seconds: number): Promise<void> {
  let said = ''
  const isReady = async () => {
    const answer = await fetch(`${url}/readyz`).catch(() => null)
    said = (await answer?.text()) ?? 'nothing'
    return answer?.status === 200
  }
  await waitUntil(title, isReady, seconds).catch((error: Error) => {
    throw new Error(`${error.message}; it says: ${said}`)
  })
}

async function writeFiles(directory: string, on: Addresses, ports: readonly [number, number]): Promise<void> {
  mkdirSync(join(directory, 'policies'))
  writeFileSync(join(directory, 'policies', 'soak.cedar'), policies)
  writeFileSync(join(directory, 'sealing.key'), randomBytes(32).toString('base64'), { mode: 0o600 })
  for (const [i, port] of ports.entries()) {
    const text = configuration(on, `127.0.0.1:${port}`, `soak-${i + 1}`)
    for (const name of ['serve', 'worker']) writeFileSync(join(directory, `${name}-${i + 1}.yaml`), text)
  }
  await createMissingKeys(join(directory, 'keys'), systemClock)
}

async function startSoakRedis(directory: string, undo: (() => unknown)[]): Promise<SoakRedis> {
  const program = await findOrInstallServer(process.env, (line) => process.stderr.write(`soak: ${line}\n`))
  if (program === null) throw new Error('no Redis: install redis-server or valkey-server')
  const folder = join(directory, 'redis')
  const start = (port: number) => startRedis(program, folder, port, ['--appendfsync', 'everysec'])
  let server = await start(await freePort())
  undo.push(() => server.stop())
  const client = new Redis(server.url, { maxRetriesPerRequest: null, retryStrategy: () => 100 })
  client.on('error', () => {})
  undo.push(() => client.disconnect())
  const line = await startLine([server.port])
  undo.push(() => line.stop())
  return {
    prefix: `soak-${randomBytes(4).toString('hex')}`,
    client,
    line,
    async kill() {
      process.kill(server.pid, 'SIGKILL')
      await server.stop()
    },
    async start() {
      server = await start(server.port)
    },
  }
}
