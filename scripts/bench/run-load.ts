// Starts the load generator as a process of its own and waits for its figures.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { LoadAnswer, Plan } from './load.js'
import type { Load } from './summary.js'

const program = fileURLToPath(new URL('load.js', import.meta.url))

/** Rejects when any answer was not the expected one: a bench of refusals would be a fast one. */
export function runLoad(plan: Plan): Promise<Load> {
  const child = fork(program)
  return new Promise<Load>((resolve, reject) => {
    child.once('message', (answer: LoadAnswer) => {
      if ('load' in answer) resolve(answer.load)
      else reject(new Error(`${plan.story}: ${answer.error}`))
    })
    child.once('exit', (code) => reject(new Error(`the load generator ended with ${code}`)))
    child.once('error', reject)
    child.send(plan)
  })
}

/** Two rounds as one: rates by time, so that a noisy half counts no more than its half. */
export function merge(rounds: readonly Load[]): Load {
  const mean = (of: (load: Load) => number) => rounds.reduce((sum, load) => sum + of(load), 0) / rounds.length
  return {
    turns: rounds.reduce((sum, load) => sum + load.turns, 0),
    perSecond: mean((load) => load.perSecond),
    p50Ms: mean((load) => load.p50Ms),
    p99Ms: mean((load) => load.p99Ms),
  }
}
