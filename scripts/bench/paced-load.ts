// Completions at a steady rate, a process of its own: opens its tasks first, says so, and completes them by the clock once told.
// What counts is from the moment at which a completion was due to the receipt that says its probe saw it dead. Told to stop, it
// begins no more: those count that were begun.
import { setMaxListeners } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { HttpConnection } from './connection.js'
import { bearer, checkConfirmed, expected, openTask } from './stories.js'
import type { Load } from './summary.js'
import { summarise } from './summary.js'

export interface PacedPlan {
  readonly url: string
  readonly connections: number
  readonly count: number
  readonly perSecond: number
  readonly tokens: readonly string[]
  readonly action: string
  readonly resource: string
}

export type PacedAnswer = { readonly ready: true } | { readonly load: Load } | { readonly error: string }

interface Ready {
  readonly task: string
  readonly token: string
}

async function open(plan: PacedPlan, connections: readonly HttpConnection[]): Promise<Ready[]> {
  const ready: Ready[] = []
  let opened = 0
  const credentials = [{ action: plan.action, resource: plan.resource, ttl_seconds: 600 }]
  // Few at once: what is measured comes later, and a Vault of a bench takes no more.
  const lane = async (connection: HttpConnection) => {
    while (opened < plan.count) {
      const token = plan.tokens[opened++ % plan.tokens.length] ?? ''
      ready.push({ token, task: await openTask(connection, token, credentials) })
    }
  }
  await Promise.all(connections.slice(0, 8).map(lane))
  return ready
}

async function completeAll(plan: PacedPlan, free: HttpConnection[], ready: readonly Ready[]): Promise<Load> {
  const start = performance.now()
  const times: number[] = []
  const wanted: ((connection: HttpConnection) => void)[] = []
  const take = () => {
    const connection = free.pop()
    return connection ?? new Promise<HttpConnection>((resolve) => wanted.push(resolve))
  }
  const give = (connection: HttpConnection) => {
    const next = wanted.shift()
    if (next) next(connection)
    else free.push(connection)
  }
  const stop = new AbortController()
  // One that waits for its time each.
  setMaxListeners(0, stop.signal)
  process.once('message', () => stop.abort())
  const completeOne = async ({ task, token }: Ready, index: number) => {
    const due = start + (index * 1000) / plan.perSecond
    await setTimeout(Math.max(0, due - performance.now()), undefined, { signal: stop.signal }).catch(() => undefined)
    if (stop.signal.aborted) return
    const connection = await take()
    const path = `/v1/tasks/${task}/complete?wait_seconds=30`
    checkConfirmed(expected(await connection.request('POST', path, bearer(token), '{}'), 200).body)
    times.push(performance.now() - due)
    give(connection)
  }
  await Promise.all(ready.map(completeOne))
  return summarise(times, (performance.now() - start) / 1000)
}

const answer = (message: PacedAnswer, done = () => {}) => process.send?.(message, done)

async function run(plan: PacedPlan): Promise<void> {
  const connections = await Promise.all(Array.from({ length: plan.connections }, () => HttpConnection.open(plan.url)))
  const ready = await open(plan, connections)
  answer({ ready: true })
  await new Promise((resolve) => process.once('message', resolve))
  const load = await completeAll(plan, connections, ready)
  answer({ load }, () => process.exit())
}

process.once('message', (plan: PacedPlan) => {
  run(plan).catch((error: Error) => answer({ error: error.message }, () => process.exit()))
})
