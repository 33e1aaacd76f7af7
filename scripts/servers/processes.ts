// Small pieces of every server that tests and the demo start: a wait, an end by process id.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** Looks every 50 ms until it holds; throws after `seconds`. */
export async function waitUntil(what: string, holds: () => Promise<boolean>, seconds = 90): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what} did not come up within ${seconds} s`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Asks it to end, waits, and kills it after half a minute: a machine that is slow is no reason to leave half an end behind. */
export async function stopByPid(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  const killer = setTimeout(() => child.kill('SIGKILL'), 30_000)
  await ended
  clearTimeout(killer)
}
