// A stream of honest callers while programs are killed at random moments, and what each of them was given.
import type { Answer } from '../../scripts/demo/http-call.js'
import type { Stack } from './stack.js'
import { type Bought, boughtOf, pause } from './wire-checks.js'

/** A small generator with a seed (mulberry32), so that a run's choices can be made again. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

export interface CrashRun {
  readonly bought: Bought[]
  readonly tasks: string[]
  /** How often each answer came; `none` where the connection broke. */
  readonly answers: Map<string, number>
  readonly kills: { readonly serve: number; readonly worker: number }
}

const asked = [
  { action: 'report.read', resource: 'repo:acme/web' },
  { action: 'offline.read', resource: 'repo:acme/web' },
  { action: 'config.read', resource: 'database:orders' },
  { action: 'database.query', resource: 'database:orders' },
]

/**
 * Runs callers and kills for so long, and on a slow machine until enough has happened, at most fifteen times as long. Both programs
 * run when it resolves. Each actor has its own choices by the seed.
 */
export async function runWithCrashes(
  stack: Stack,
  seed: number,
  { seconds, callers }: { seconds: number; callers: number },
): Promise<CrashRun> {
  const begun = performance.now()
  const run = { bought: [] as Bought[], tasks: [] as string[], answers: new Map<string, number>() }
  const kills = { serve: 0, worker: 0 }
  const isOver = () => {
    const passed = (performance.now() - begun) / 1000
    const atVault = run.bought.filter(({ credential }) => credential.type !== 'jwt').length
    const isEnough = run.bought.length > 20 && atVault > 5 && Math.min(kills.serve, kills.worker) > 2
    return passed > (isEnough ? seconds : 15 * seconds)
  }
  await Promise.all([
    ...Array.from({ length: callers }, (_, i) => callOn(stack, randomFrom(seed + 100 + i), run, `${i}`, isOver)),
    killAndStart(stack, 'serve', randomFrom(seed + 1), { ...run, kills }, isOver),
    killAndStart(stack, 'worker', randomFrom(seed + 2), { ...run, kills }, isOver),
  ])
  return { ...run, kills }
}

/**
 * Lets it live for up to 2.5 s each time; every other time until something was bought, since on a slow machine nothing is in so short
 * a life.
 */
async function killAndStart(
  stack: Stack,
  name: 'serve' | 'worker',
  random: () => number,
  { bought, kills }: { bought: readonly Bought[]; kills: { serve: number; worker: number } },
  isOver: () => boolean,
): Promise<void> {
  for (;;) {
    const before = bought.length
    await pause(100 + random() * 2400)
    if (random() < 0.5) while (bought.length === before && !isOver()) await pause(20)
    if (isOver()) return
    await stack.programs[name]?.kill('SIGKILL')
    kills[name] += 1
    await pause(random() * 300)
    await stack.start(name)
  }
}

/** One caller: a task, some credentials, then completion, a release, or nothing at all. Takes every refusal as it comes. */
async function callOn(
  stack: Stack,
  random: () => number,
  run: Omit<CrashRun, 'kills'>,
  name: string,
  isOver: () => boolean,
): Promise<void> {
  const token = await stack.ciToken({ repository_id: `9${name}`, exp: Math.floor(Date.now() / 1000) + 600 })
  const call = async (method: string, path: string, body?: object): Promise<Answer | null> => {
    const answer = await stack.call(method, path, { token, ...(body ? { body } : {}) }).catch(() => null)
    const what = answer === null ? 'none' : `${answer.status} ${answer.body.code ?? ''}`.trim()
    run.answers.set(what, (run.answers.get(what) ?? 0) + 1)
    if (answer === null) await pause(200)
    return answer
  }
  while (!isOver()) {
    const opened = await call('POST', '/v1/tasks', { purpose: 'a crash', ttl_seconds: 4 + Math.floor(random() * 6) })
    if (opened?.status !== 201) continue
    const { id } = opened.body.task as { id: string }
    run.tasks.push(id)
    for (let i = 0; i < 3; i++) {
      const what = asked[Math.floor(random() * asked.length)]
      const answer = await call('POST', `/v1/tasks/${id}/credentials`, {
        ...what,
        ttl_seconds: 2 + Math.floor(random() * 4),
      })
      if (answer?.status !== 201) continue
      const bought = boughtOf(answer)
      run.bought.push(bought)
      if (random() < 0.3) await call('DELETE', `/v1/leases/${bought.lease}`)
    }
    if (random() < 0.6) await call('POST', `/v1/tasks/${id}/complete?wait_seconds=${random() < 0.3 ? 1 : 0}`, {})
  }
}
