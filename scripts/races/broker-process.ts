// A broker of the races as its parent sees it: a process that answers orders.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Order } from './program.js'

export interface BrokerProcess {
  ask<T>(order: OrderWithoutId): Promise<T>
  stop(): Promise<void>
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never
type OrderWithoutId = WithoutId<Order>

interface Waiting {
  resolve(answer: unknown): void
  reject(error: Error): void
}

/** Starts it; resolves when it can issue. */
export async function startBroker(program: string, configFile: string, instance: string): Promise<BrokerProcess> {
  const child: ChildProcess = fork(program, [configFile], {
    env: { ...process.env, RACES_INSTANCE: instance },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const waiting = new Map<number, Waiting>()
  const answerTo = (id: number) => new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }))
  child.on('message', ({ id, answer, error }: { id: number; answer?: unknown; error?: string }) => {
    const one = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) one?.resolve(answer)
    else one?.reject(new Error(error))
  })
  child.once('exit', () => {
    for (const one of waiting.values()) one.reject(new Error(`broker ${instance} has ended`))
  })
  await answerTo(0)
  let orders = 0
  return {
    ask<T>(order: OrderWithoutId) {
      const id = ++orders
      const answer = answerTo(id) as Promise<T>
      child.send({ ...order, id })
      return answer
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}
