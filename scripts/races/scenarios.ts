// Who asks for what at once in one round, and what exactly may come of it.
import type { Random } from '../soak/random.js'

/** A run of a pipeline; null where its issuer names none, so that its account is its session. */
export interface RaceCaller {
  readonly account: string
  readonly subject: string
  readonly instance: string | null
}

export interface RaceRequest {
  /** Which of the round's tasks. */
  readonly task: number
  readonly action: string
  readonly resource: string
}

export interface Round {
  /** Who opens each task. */
  readonly tasks: readonly RaceCaller[]
  readonly requests: readonly RaceRequest[]
}

/** One for each request, in their order: `issued`, or the code of the refusal. */
export type Outcomes = readonly string[]

export interface Scenario {
  readonly name: string
  /** Of `rounds` asked for, how many this one runs. */
  share(rounds: number): number
  round(account: string, requests: number, random: Random): Round
  /** What is wrong with what was issued; null when it is exactly the allowed set. */
  fault(round: Round, outcomes: Outcomes): string | null
}

const tasksOfOneSession = (account: string): RaceCaller[] =>
  ['main', 'main', 'fix', 'fix'].map((branch) => ({ account, subject: `${account}:ref:${branch}`, instance: null }))

const tasksOfTwoSessions = (account: string): RaceCaller[] =>
  ['run-1', 'run-1', 'run-2', 'run-2'].map((instance) => ({ account, subject: `${account}:ref:main`, instance }))

const asking = (random: Random, requests: number, kinds: readonly [string, ...string[]], resources: number) =>
  Array.from({ length: requests }, (): RaceRequest => {
    const action = random.pick(kinds)
    const number = Math.floor(random.between(0, resources))
    const resource = action === 'database.migrate' ? `database:db-${number}` : `repo:acme/repo-${number}`
    return { task: Math.floor(random.between(0, 4)), action, resource }
  })

const issuedOf = (outcomes: Outcomes) => outcomes.filter((one) => one === 'issued').length

/** Whoever is not issued anything must have been told so by the policies. */
function notDenied(outcomes: Outcomes): string | null {
  const other = outcomes.find((one) => one !== 'issued' && one !== 'denied')
  return other === undefined ? null : `one was answered ${other}`
}

const exactly = (what: string, issued: number, allowed: number): string | null =>
  issued === allowed ? null : `${issued} ${what} issued, exactly ${allowed} allowed`

/** `allowed` in each group of requests that the rule counts together. */
const counted = (group: (round: Round, request: RaceRequest) => unknown, allowed: number): Scenario['fault'] => {
  return (round, outcomes) => {
    const groups = new Map<unknown, string[]>()
    for (const [i, request] of round.requests.entries()) {
      const key = group(round, request)
      groups.set(key, [...(groups.get(key) ?? []), outcomes[i] ?? 'missing'])
    }
    for (const own of groups.values()) {
      const fault = exactly('of one group', issuedOf(own), Math.min(allowed, own.length))
      if (fault !== null) return fault
    }
    return notDenied(outcomes)
  }
}

const tenth = (rounds: number) => Math.ceil(rounds / 10)

export const scenarios: readonly Scenario[] = [
  {
    name: 'deploy or database write, never both, in a session',
    share: (rounds) => rounds,
    round: (account, requests, random) => ({
      tasks: tasksOfOneSession(account),
      requests: asking(random, requests, ['deploy.run', 'database.migrate'], 3),
    }),
    fault: ({ requests }, outcomes) => {
      const kinds = new Set(requests.flatMap(({ action }, i) => (outcomes[i] === 'issued' ? [action] : [])))
      if (kinds.size > 1) return `both ${[...kinds].join(' and ')} issued`
      const [kind] = kinds
      const allowed = requests.filter(({ action }) => action === kind).length
      return exactly(kind ?? 'of either', issuedOf(outcomes), Math.max(1, allowed)) ?? notDenied(outcomes)
    },
  },
  {
    name: 'one key of an account, over two sessions',
    share: tenth,
    round: (account, requests, random) => ({
      tasks: tasksOfTwoSessions(account),
      requests: asking(random, requests, ['key.rotate', 'key.export'], 3),
    }),
    fault: counted(() => 'account', 1),
  },
  {
    name: 'three leases of an account, over two sessions',
    share: tenth,
    round: (account, requests, random) => ({
      tasks: tasksOfTwoSessions(account),
      requests: asking(random, requests, ['report.read'], 1),
    }),
    fault: counted(() => 'account', 3),
  },
  {
    name: 'two leases of each of two sessions',
    share: tenth,
    round: (account, requests, random) => ({
      tasks: tasksOfTwoSessions(account),
      requests: asking(random, requests, ['log.read'], 1),
    }),
    fault: counted(({ tasks }, { task }) => tasks[task]?.instance, 2),
  },
  {
    name: 'one lease of each of four tasks',
    share: tenth,
    round: (account, requests, random) => ({
      tasks: tasksOfOneSession(account),
      requests: asking(random, requests, ['trace.read'], 1),
    }),
    fault: counted((_, { task }) => task, 1),
  },
]
