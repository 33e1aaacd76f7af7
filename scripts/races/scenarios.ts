// Who asks for what at once in one round, and what exactly may come of it.
import type { Random } from '../soak/random.js'

/** A run of a pipeline; null where its issuer names none, so that its account is its session. */
export interface RaceCaller {
  readonly account: string
  readonly subject: string
  readonly instance: string | null
}

export interface RaceTask extends RaceCaller {
  /** Which of the round's tasks it is a child of: its owner handed on all that the round asks for. Null for a root. */
  readonly parent: number | null
}

export interface RaceRequest {
  /** Which of the round's tasks. */
  readonly task: number
  readonly action: string
  readonly resource: string
}

export interface Round {
  readonly tasks: readonly RaceTask[]
  readonly requests: readonly RaceRequest[]
}

/** One for each request, in their order: `issued`, or the code of the refusal. */
export type Outcomes = readonly string[]

export interface Scenario {
  readonly name: string
  /** Of `rounds` asked for, how many this one runs. */
  share(rounds: number): number
  /** `isChain`: two of the four tasks are children of the others, of another account; they count against both. */
  round(account: string, requests: number, random: Random, isChain: boolean): Round
  /** What was issued though it must not be, whatever else went wrong; null when nothing was. */
  excess(round: Round, outcomes: Outcomes): string | null
  /** What is wrong with what was issued; null when it is exactly the allowed set. */
  fault(round: Round, outcomes: Outcomes): string | null
}

const tasksOfOneSession = (account: string, isChain: boolean): RaceTask[] =>
  fourTasks(account, isChain, [
    { branch: 'main', instance: null },
    { branch: 'fix', instance: null },
  ])

const tasksOfTwoSessions = (account: string, isChain: boolean): RaceTask[] =>
  fourTasks(account, isChain, [
    { branch: 'main', instance: 'run-1' },
    { branch: 'main', instance: 'run-2' },
  ])

/** Two of each; of a chain the latter two are their delegates', each in the session that its run is for its own account. */
const fourTasks = (
  account: string,
  isChain: boolean,
  both: readonly { branch: string; instance: string | null }[],
): RaceTask[] =>
  [...both, ...both].map(({ branch, instance }, i) => {
    const isChild = isChain && i >= both.length
    const own = isChild ? `${account}-delegate` : account
    return { account: own, subject: `${own}:ref:${branch}`, instance, parent: isChild ? i - both.length : null }
  })

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
function counted(
  groupOf: (round: Round, request: RaceRequest) => unknown,
  allowed: number,
): Pick<Scenario, 'excess' | 'fault'> {
  const groups = (round: Round, outcomes: Outcomes) => {
    const found = new Map<unknown, string[]>()
    for (const [i, request] of round.requests.entries()) {
      const key = groupOf(round, request)
      found.set(key, [...(found.get(key) ?? []), outcomes[i] ?? 'missing'])
    }
    return [...found.values()].map((own) => ({ issued: issuedOf(own), allowed: Math.min(allowed, own.length) }))
  }
  const describe = (one: { issued: number; allowed: number } | undefined) =>
    one === undefined ? null : exactly('of one group', one.issued, one.allowed)
  return {
    excess: (round, outcomes) => describe(groups(round, outcomes).find((one) => one.issued > one.allowed)),
    fault: (round, outcomes) =>
      describe(groups(round, outcomes).find((one) => one.issued !== one.allowed)) ?? notDenied(outcomes),
  }
}

function bothIssued({ requests }: Round, outcomes: Outcomes): string | null {
  const kinds = new Set(requests.flatMap(({ action }, i) => (outcomes[i] === 'issued' ? [action] : [])))
  return kinds.size > 1 ? `both ${[...kinds].join(' and ')} issued` : null
}

const tenth = (rounds: number) => Math.ceil(rounds / 10)

export const scenarios: readonly Scenario[] = [
  {
    name: 'deploy or database write, never both, in a session',
    share: (rounds) => rounds,
    round: (account, requests, random, isChain) => ({
      tasks: tasksOfOneSession(account, isChain),
      requests: asking(random, requests, ['deploy.run', 'database.migrate'], 3),
    }),
    excess: bothIssued,
    fault: (round, outcomes) => {
      const kind = round.requests[outcomes.indexOf('issued')]?.action ?? 'of either'
      const allowed = round.requests.filter(({ action }) => action === kind).length
      const wrong = exactly(kind, issuedOf(outcomes), Math.max(1, allowed))
      return bothIssued(round, outcomes) ?? wrong ?? notDenied(outcomes)
    },
  },
  {
    name: 'one key of an account, over two sessions',
    share: tenth,
    round: (account, requests, random, isChain) => ({
      tasks: tasksOfTwoSessions(account, isChain),
      requests: asking(random, requests, ['key.rotate', 'key.export'], 3),
    }),
    ...counted(() => 'account', 1),
  },
  {
    name: 'three leases of an account, over two sessions',
    share: tenth,
    round: (account, requests, random, isChain) => ({
      tasks: tasksOfTwoSessions(account, isChain),
      requests: asking(random, requests, ['report.read'], 1),
    }),
    ...counted(() => 'account', 3),
  },
  {
    name: 'two leases of each of two sessions',
    share: tenth,
    round: (account, requests, random, isChain) => ({
      tasks: tasksOfTwoSessions(account, isChain),
      requests: asking(random, requests, ['log.read'], 1),
    }),
    ...counted(({ tasks }, { task }) => tasks[task]?.instance, 2),
  },
  {
    name: 'one lease of each of four tasks',
    share: tenth,
    round: (account, requests, random, isChain) => ({
      tasks: tasksOfOneSession(account, isChain),
      requests: asking(random, requests, ['trace.read'], 1),
    }),
    ...counted((_, { task }) => task, 1),
  },
]
