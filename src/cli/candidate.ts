// `hallpass policy check --against` and `policy simulate --live`: what a candidate would do at a running broker, before it is
// merged. Which live leases would end, and who gains or loses of what was decided there lately.
import { type BrokerClient, ClientError, type LiveSimulation, type RecordedSimulation } from '../client/index.js'
import { systemClock } from '../core/clock.js'
import { type CommandIo, connectBroker } from './connection.js'
import { formatTable } from './output.js'
import { tableOf } from './policy-change.js'

type Files = Readonly<Record<string, string>>
type Recorded = Omit<RecordedSimulation, 'candidate' | 'next_cursor'>
type Change = Recorded['groups'][number]

/** How much the candidate would change. */
export interface CandidateEffect {
  readonly losses: number
  readonly gains: number
  readonly changes: number
}

const recordedMs = 24 * 3600 * 1000

/**
 * Asks the broker that `url` (else HALLPASS_URL) names what these policies, by path in their folder, would change, and tells
 * it. A live lease that would end is a loss. Throws ClientError.
 */
export async function tellCandidate(url: string | undefined, files: Files, io: CommandIo): Promise<CandidateEffect> {
  const client = connectBroker(url === undefined ? io.environment : { ...io.environment, HALLPASS_URL: url })
  const { candidate, live, would_end } = await readLive(client, files)
  const recorded = await readRecorded(client, files, new Date(systemClock.now() - recordedMs).toISOString())
  const head = `set ${candidate}: ${would_end.length} of ${live} live leases would end`
  const lines = [head, ...tableOf(would_end), ...describeRecorded(recorded)]
  io.output.print({ candidate, live, would_end, recorded }, lines.join('\n'))
  const { losses, gains, changes } = recorded ?? { losses: 0, gains: 0, changes: 0 }
  return { losses: losses + would_end.length, gains, changes }
}

/** All pages. */
async function readLive(client: BrokerClient, policies: Files): Promise<Omit<LiveSimulation, 'next_cursor'>> {
  let page = await client.simulateLive({ policies })
  const all = { candidate: page.candidate, live: page.live, would_end: [...page.would_end] }
  while (page.next_cursor !== null) {
    page = await client.simulateLive({ policies, cursor: page.next_cursor })
    all.live += page.live
    all.would_end.push(...page.would_end)
  }
  return all
}

/** All pages; null: this operator may not read what was decided. */
async function readRecorded(client: BrokerClient, policies: Files, from: string): Promise<Recorded | null> {
  try {
    let page = await client.simulateRecorded({ policies, from })
    let all: Recorded = page
    while (page.next_cursor !== null) {
      page = await client.simulateRecorded({ policies, from, cursor: page.next_cursor })
      all = sum(all, page)
    }
    return all
  } catch (error) {
    if (error instanceof ClientError && error.problem?.code === 'not_permitted') return null
    throw error
  }
}

function sum(one: Recorded, other: Recorded): Recorded {
  const groups = new Map<string, Change>()
  for (const group of [...one.groups, ...other.groups]) {
    const { decisions: _, examples: __, ...alike } = group
    const key = JSON.stringify(alike)
    const known = groups.get(key)
    groups.set(key, known === undefined ? group : { ...known, decisions: known.decisions + group.decisions })
  }
  return {
    decisions: one.decisions + other.decisions,
    gains: one.gains + other.gains,
    losses: one.losses + other.losses,
    changes: one.changes + other.changes,
    unchanged: one.unchanged + other.unchanged,
    skipped: one.skipped + other.skipped,
    not_listed: one.not_listed + other.not_listed,
    groups: [...groups.values()],
  }
}

const words = { gain: 'would gain', loss: 'would lose', change: 'would change' } as const

function describeRecorded(recorded: Recorded | null): string[] {
  if (recorded === null)
    return ['who gains and who loses of what was decided lately: operate.audit is needed to see it']
  const { decisions, losses, gains, changes, groups, not_listed } = recorded
  const rows = groups.map((one) => [
    words[one.kind],
    one.account,
    one.principal,
    one.action,
    `${one.before.effect} → ${one.after.effect}`,
    `${one.decisions}`,
    one.examples.map(({ decision }) => decision).join(' '),
  ])
  return [
    `of ${decisions} decisions of this broker in the last day: ${losses} would lose, ${gains} would gain, ${changes} would change`,
    ...(rows.length === 0
      ? []
      : [formatTable([['CHANGE', 'ACCOUNT', 'PRINCIPAL', 'ACTION', 'FROM → TO', 'DECISIONS', 'EXAMPLES'], ...rows])]),
    ...(not_listed > 0 ? [`and ${not_listed} decisions that change in ways not listed`] : []),
  ]
}
