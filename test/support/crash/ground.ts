// A stack whose programs can be killed at a named point, and are started again as soon as they are dead.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Answer, CallOptions } from '../../../scripts/demo/http-call.js'
import { untilStarted } from '../../../scripts/demo/program.js'
import { type Stack, startStack } from '../stack.js'
import { stackPolicies } from '../stack-settings.js'
import { startVaultForStack, type VaultInStack, vaultPolicy } from '../vault-in-stack.js'
import { pause } from '../wire-checks.js'
import { type Sightings, watchVault } from './sightings.js'

export type Mortal = 'serve' | 'worker'
export const mortals: readonly Mortal[] = ['serve', 'worker']

export interface Ground {
  readonly stack: Stack
  readonly beside: VaultInStack
  readonly sightings: Sightings
  /** The next time that the program passes this point it dies there, and is started again. */
  arm(program: Mortal, point: string): void
  disarm(program: Mortal): void
  isArmed(program: Mortal): boolean
  /** The points passed since it was last asked, each once. */
  takeMet(program: Mortal): string[]
  /** Calls again, as a client does whose connection broke or who was told to come back, until there is an answer. */
  persist(method: string, path: string, options: CallOptions): Promise<Answer>
  /** Resolves when both programs run. */
  untilAlive(): Promise<void>
  stop(): Promise<void>
}

const crashingProgram = fileURLToPath(new URL('../../../dist/scripts/crash/program.js', import.meta.url))

export async function startGround(): Promise<Ground> {
  const beside = await startVaultForStack({ timeout: '1s' })
  const stack = await startStack({
    policies: stackPolicies + vaultPolicy,
    settings: beside.withVault,
    program: crashingProgram,
    programs: [],
  })
  const file = (program: Mortal, what: 'at' | 'met') => join(stack.directory, `${program}.${what}`)
  const disarm = (program: Mortal) => rmSync(file(program, 'at'), { force: true })
  const armed = new Set<Mortal>()
  const keeper = await keepRunning(stack, (program) => {
    disarm(program)
    armed.delete(program)
  }).catch(async (error: unknown) => {
    await stack.stop()
    await beside.vault.stop()
    throw error
  })
  await stack.untilReady(startSeconds)
  const sightings = watchVault(beside)
  return {
    stack,
    beside,
    sightings,
    arm(program, point) {
      armed.add(program)
      writeFileSync(file(program, 'at'), point)
    },
    disarm(program) {
      armed.delete(program)
      disarm(program)
    },
    isArmed: (program) => armed.has(program),
    takeMet(program) {
      const met = new Set(readLines(file(program, 'met')))
      rmSync(file(program, 'met'), { force: true })
      return [...met]
    },
    persist: (method, path, options) => persist(stack, method, path, options),
    untilAlive: () => keeper.untilAlive(),
    async stop() {
      await sightings.stop()
      await keeper.stop()
      await stack.stop()
      await beside.vault.stop()
    },
  }
}

/** Several lanes start programs at once, beside whatever else the machine does. */
const startSeconds = 60

/** Starts both programs, and again whenever one is dead. */
async function keepRunning(stack: Stack, onDeath: (program: Mortal) => void) {
  let stopping = false
  const starting = new Map<Mortal, Promise<unknown>>()
  const start = async (name: Mortal): Promise<void> => {
    const program = stack.spawn(name)
    const begun = untilStarted(program, startSeconds)
    starting.set(name, begun)
    await begun
    void program.ended.then(() => {
      onDeath(name)
      if (!stopping) start(name).catch(() => undefined)
    })
  }
  await Promise.all(mortals.map(start))
  return {
    async untilAlive() {
      await Promise.all(starting.values())
    },
    async stop() {
      stopping = true
      await Promise.allSettled(starting.values())
    },
  }
}

async function persist(stack: Stack, method: string, path: string, options: CallOptions): Promise<Answer> {
  // Longer than a program may take to start again.
  const end = performance.now() + 2 * startSeconds * 1000
  for (;;) {
    const answer = await stack.call(method, path, options).catch((error: Error) => error)
    if (!(answer instanceof Error) && answer.status < 500) return answer
    if (performance.now() > end) throw new Error(`no answer: ${answer instanceof Error ? answer.message : answer.text}`)
    await pause(100)
  }
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(0, -1)
  } catch {
    return []
  }
}
