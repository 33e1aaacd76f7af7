// The lease engine with a real Vault: completions at a steady rate, and what a second worker process adds to ending very many
// credentials. The Vault runs on the same processors and takes its share of them.
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { vaultConfig } from '../../src/providers/vault-config.js'
import { findVault, operate, type RunningVault, setUpVault, startVault } from '../servers/vault.js'
import { type Distance, startDistance } from './distance.js'
import { inTurns } from './due-leases.js'
import { type EngineGround, layEngineGround, vaultProvider, vaultRecipe } from './engine-ground.js'
import { type EngineBench, sized } from './measure-engine.js'
import { layLeases, type OpenGround, openGround } from './population.js'
import { preparePaced } from './run-paced.js'
import { lastWords, type RunningProgram, startProgram, untilReadyMs, untilServing } from './stack.js'
import type { Load } from './summary.js'

export interface EngineWithVault {
  readonly completions: Load
  readonly completionsPerSecond: number
  readonly ended: Ended
  /** The same with Vault that far away, so that it is not the processors that both workers wait for. */
  readonly endedFar: Ended & { readonly oneWayMs: number }
}

/** How many leases end per second with one worker and with two. */
interface Ended {
  readonly leases: number
  readonly one: number
  readonly two: number
}

const oneWayMs = 50

/** Null without a program to start. */
export async function measureEngineWithVault(
  directory: string,
  redisUrl: string,
  bench: EngineBench,
): Promise<EngineWithVault | null> {
  const found = findVault()
  if (found?.kind !== 'program') return null
  const home = join(directory, `vault-ground-${randomBytes(4).toString('hex')}`)
  mkdirSync(home, { mode: 0o700 })
  const vault = await startVault(found.path)
  const line = await startDistance(vault.address)
  const programs: RunningProgram[] = []
  try {
    const ground = await layEngineGround(home, redisUrl, line.address)
    // The Vault reads our keys when it is told of them.
    programs.push(startProgram('serve', ground))
    await untilServing(ground)
    await operate(vault, 'PUT', 'sys/policies/acl/bench-read', {
      policy: 'path "secret/*" { capabilities = ["read"] }',
    })
    const config = vaultConfig.parse(vaultProvider(line.address))
    await setUpVault(vault, { config, recipes: [vaultRecipe], federationIssuer: `${ground.url}/federation` })
    const first = startProgram('worker', ground)
    programs.push(first)
    await untilReadyMs(ground, performance.now())
    const on = await openGround(ground)
    try {
      return await measureRunning({ ground, on, vault, line }, { first, programs }, bench)
    } catch (error) {
      bench.say(lastWords(ground))
      throw error
    } finally {
      await on.close()
    }
  } finally {
    for (const program of programs) await program.stop()
    await line.stop()
    await vault.stop()
  }
}

interface VaultGround {
  readonly ground: EngineGround
  readonly on: OpenGround
  readonly vault: RunningVault
  readonly line: Distance
}

async function measureRunning(
  at: VaultGround,
  { first, programs }: { first: RunningProgram; programs: RunningProgram[] },
  bench: EngineBench,
): Promise<EngineWithVault> {
  const { ground, line } = at
  const tokens = Array.from({ length: 8 }, (_, i) => ground.token(`agent-${i}`))
  const ask = { action: 'config.read', resource: 'repo:acme/web' }
  const plan = { url: ground.url, connections: 64, tokens, ...ask }
  bench.say('completions at a steady rate, Vault')
  await (await preparePaced({ ...plan, count: 100, perSecond: 50 })).go()
  const completionsPerSecond = 100
  const count = sized(500, bench.short)
  const completions = await (await preparePaced({ ...plan, count, perSecond: completionsPerSecond })).go()
  bench.say('one worker and two, Vault')
  const leases = sized(2000, bench.short)
  await measureEnding(at, [first], leases / 4)
  const one = await measureEnding(at, [first], leases)
  line.oneWayMs = oneWayMs
  const few = sized(1600, bench.short)
  const oneFar = await measureEnding(at, [first], few)
  line.oneWayMs = 0
  const second = startProgram('worker', ground.second)
  programs.push(second)
  // Its login, and what its process compiles as it goes, are not what is measured.
  await new Promise((resolve) => setTimeout(resolve, 2000))
  const both = [first, second]
  await measureEnding(at, both, leases / 2)
  const two = await measureEnding(at, both, leases)
  line.oneWayMs = oneWayMs
  const twoFar = await measureEnding(at, both, few)
  line.oneWayMs = 0
  const ended = { leases, one, two }
  return { completions, completionsPerSecond, ended, endedFar: { leases: few, one: oneFar, two: twoFar, oneWayMs } }
}

/** Tokens at the Vault whose leases are all due while the workers are held; how many end per second from then on. */
async function measureEnding(
  { ground, on, vault }: VaultGround,
  workers: readonly RunningProgram[],
  count: number,
): Promise<number> {
  const { cluster_id: cluster } = (await operate(vault, 'GET', 'sys/health')) as { cluster_id: string }
  const body = { policies: vaultRecipe.policies, ttl: '600s', explicit_max_ttl: '600s' }
  const numbers = Array.from({ length: count }, (_, i) => i)
  const accessors = await inTurns(numbers, 16, async () => {
    const { auth } = (await operate(vault, 'POST', 'auth/token/create/hallpass-lease', body)) as {
      auth: { accessor: string }
    }
    return auth.accessor
  })
  const due = () => on.redis.zcount(`{${ground.prefix}}:due:vault`, '-inf', Date.now() + 60_000)
  for (const { pid } of workers) process.kill(pid, 'SIGSTOP')
  try {
    await layLeases(on, {
      leases: count,
      ttlSeconds: 1,
      workload: (task) => `agent-of-vault-${task}`,
      record: () => ({ provider: 'vault', mark: {} }),
      handle: (i) => ({
        kind: 'token',
        accessor: accessors[i] ?? '',
        cluster_id: cluster,
        noted_at: Date.now(),
      }),
    })
    await new Promise((resolve) => setTimeout(resolve, 1100))
    const start = performance.now()
    for (const { pid } of workers) process.kill(pid, 'SIGCONT')
    while ((await due()) > 0) {
      if (performance.now() - start > 60_000) throw new Error(`${await due()} leases are still due after a minute`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    return count / ((performance.now() - start) / 1000)
  } finally {
    for (const { pid } of workers) process.kill(pid, 'SIGCONT')
  }
}
