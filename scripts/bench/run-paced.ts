// Starts completions at a steady rate as a process of their own: ready first, then told to go.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { PacedAnswer, PacedPlan } from './paced-load.js'
import type { Load } from './summary.js'

const program = fileURLToPath(new URL('paced-load.js', import.meta.url))

export interface Paced {
  /** Begins to complete and measures. Rejects when any answer was not the expected one. */
  go(): Promise<Load>
  /** Begins no more completions: `go` resolves with those that were begun. */
  stop(): void
}

/** Resolves when its tasks are open. */
export async function preparePaced(plan: PacedPlan): Promise<Paced> {
  const child = fork(program)
  let fail: (error: Error) => void = () => {}
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  failed.catch(() => undefined)
  let tellReady = () => {}
  const ready = new Promise<void>((resolve) => {
    tellReady = resolve
  })
  let tellLoad: (load: Load) => void = () => {}
  const load = new Promise<Load>((resolve) => {
    tellLoad = resolve
  })
  child.on('message', (answer: PacedAnswer) => {
    if ('error' in answer) fail(new Error(`completions: ${answer.error}`))
    else if ('load' in answer) tellLoad(answer.load)
    else tellReady()
  })
  child.once('error', fail)
  child.once('exit', (code) => fail(new Error(`the completions ended with ${code}`)))
  child.send(plan)
  await Promise.race([ready, failed])
  return {
    go() {
      child.send('go')
      return Promise.race([load, failed])
    },
    stop() {
      if (child.connected) child.send('stop')
    },
  }
}
