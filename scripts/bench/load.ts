// The load generator, a process of its own: so many connections, each with its next request as soon as the last one is
// answered. Takes one plan over IPC and answers one result.
import { setTimeout } from 'node:timers/promises'
import { HttpConnection } from './connection.js'
import { NoTurn, type StoryName, stories, type Turn } from './stories.js'
import { type Load, summarise } from './summary.js'

export interface Plan {
  readonly story: StoryName
  readonly url: string
  readonly connections: number
  /** Not measured: just-in-time compilation, first looks, key loading. */
  readonly warmSeconds: number
  readonly seconds: number
  /** One per connection, used in turn where there are fewer. */
  readonly tokens: readonly string[]
}

export type LoadAnswer = { readonly load: Load } | { readonly error: string }

/** Runs the plan in this process. */
export async function runPlan(plan: Plan): Promise<Load> {
  const connections = await Promise.all(Array.from({ length: plan.connections }, () => HttpConnection.open(plan.url)))
  try {
    const turns = await Promise.all(
      connections.map((connection, i) => {
        const token = plan.tokens[i % plan.tokens.length] ?? ''
        return untilTurn(() => stories[plan.story](connection, token))
      }),
    )
    await repeatEach(turns, plan.warmSeconds)
    const start = performance.now()
    const times = await repeatEach(turns, plan.seconds)
    return summarise(times, (performance.now() - start) / 1000)
  } finally {
    for (const connection of connections) connection.close()
  }
}

async function repeatEach(turns: readonly Turn[], seconds: number): Promise<number[]> {
  const end = performance.now() + seconds * 1000
  const times: number[] = []
  const repeat = async (turn: Turn) => {
    while (performance.now() < end) times.push(await untilTurn(turn))
  }
  await Promise.all(turns.map(repeat))
  return times
}

/** Ten answers in a row that were no turns are an error, as any other that was not expected. What was no turn is not counted. */
async function untilTurn<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof NoTurn) || attempt === 10) throw error
      await setTimeout(200)
    }
  }
}

process.once('message', (plan: Plan) => {
  const answer = (message: LoadAnswer) => process.send?.(message, () => process.exit())
  runPlan(plan).then(
    (load) => answer({ load }),
    (error: Error) => answer({ error: error.message }),
  )
})
