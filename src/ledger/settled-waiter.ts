// Wakes whoever waits for leases to be settled: by PUBLISH, with a slow poll as fallback where a message was lost.
import type { Connection } from './connection.js'

const pollMs = 500

export interface SettledWaiter {
  /** Resolves when one of the leases was settled, or after the time, or after a poll's interval. Tells nothing about how. */
  wait(leases: ReadonlySet<string>, timeoutMs: number): Promise<void>
  close(): void
}

/** Subscribes; does not wait for Redis to be there, since the poll carries on without it. */
export function createSettledWaiter(subscriber: Connection, channel: string): SettledWaiter {
  const waiting = new Set<(lease: string) => void>()
  subscriber.subscribe(channel).catch(() => undefined)
  subscriber.on('message', (_channel: string, lease: string) => {
    for (const wake of waiting) wake(lease)
  })
  return {
    wait: (leases, timeoutMs) =>
      new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer)
          waiting.delete(wake)
          resolve()
        }
        const wake = (lease: string) => {
          if (leases.has(lease)) done()
        }
        const timer = setTimeout(done, Math.max(0, Math.min(timeoutMs, pollMs)))
        waiting.add(wake)
      }),
    close: () => waiting.clear(),
  }
}
