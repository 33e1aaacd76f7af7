// The lives of credentials in which a program is killed, played by clients that call again when a connection breaks. Each run
// has an account of its own, so that everything of it is found again.
import { randomBytes } from 'node:crypto'
import { pause, report } from '../wire-checks.js'
import { problemsUnderBan, whileBanned } from './changed-rules.js'
import type { Ground, Mortal } from './ground.js'

export interface Run {
  readonly account: string
  readonly token: string
  /** Leases whose secret was answered. */
  readonly answered: Map<string, { readonly secret: string }>
  readonly tasks: Set<string>
  readonly orders: Set<string>
  /** How many credentials were asked for: there may be as many leases and no more. */
  purchases: number
  /** Leases whose end was ordered and answered at that moment, before their deadline. */
  readonly ended: Map<string, number>
  readonly problems: string[]
  /** When both programs ran again. */
  aliveAt: number
}

export type Scenario = (ground: Ground, run: Run) => Promise<void>

let runs = 0

export async function beginRun(ground: Ground): Promise<Run> {
  const repository = String(5_000_000 + ++runs)
  return {
    account: `ci:${repository}`,
    token: await ground.stack.ciToken({ repository_id: repository }),
    answered: new Map(),
    tasks: new Set(),
    orders: new Set(),
    purchases: 0,
    ended: new Map(),
    problems: [],
    aliveAt: 0,
  }
}

const query = { action: 'database.query', resource: 'database:orders' }
/** Long enough for an order to come before the deadline on a busy machine, short enough to wait for. */
const ttl_seconds = 40
const fresh = () => ({ 'idempotency-key': randomBytes(12).toString('hex') })

async function open(ground: Ground, run: Run, fields: object = {}): Promise<string> {
  const body = { purpose: 'to be interrupted', ttl_seconds: 60, ...fields }
  const answer = await ground.persist('POST', '/v1/tasks', { token: run.token, body, headers: fresh() })
  const { task, credentials = [] } = answer.body as { task?: { id: string }; credentials?: Sold[] }
  for (const sold of credentials) noteSold(run, sold)
  if (task === undefined) run.problems.push(`no task: ${answer.text}`)
  if (task !== undefined) run.tasks.add(task.id)
  return `/v1/tasks/${task?.id}`
}

type Sold = { lease: { id: string }; credential: { token?: string; data?: { password: string } } }

function noteSold(run: Run, { lease, credential }: Sold): void {
  run.answered.set(lease.id, { secret: credential.token ?? credential.data?.password ?? '' })
}

/** The lease, also where its secret was lost on the way: the same key again names it. */
async function buy(ground: Ground, run: Run, task: string, asked: object): Promise<string | null> {
  run.purchases++
  const body = { ttl_seconds, ...asked }
  const answer = await ground.persist('POST', `${task}/credentials`, { token: run.token, body, headers: fresh() })
  if (answer.status === 201) noteSold(run, answer.body as unknown as Sold)
  else if (answer.body.code !== 'already_issued') run.problems.push(`refused: ${answer.text}`)
  return (answer.body.lease as { id: string } | undefined)?.id ?? null
}

async function buyBoth(ground: Ground, run: Run, task: string, ttl = ttl_seconds): Promise<string[]> {
  const bought = [
    await buy(ground, run, task, { ...report, ttl_seconds: ttl }),
    await buy(ground, run, task, { ...query, ttl_seconds: ttl }),
  ]
  return bought.filter((lease) => lease !== null)
}

async function complete(ground: Ground, run: Run, task: string): Promise<void> {
  const answer = await ground.persist('POST', `${task}/complete?wait_seconds=5`, { token: run.token, body: {} })
  if (answer.status !== 200) run.problems.push(`not completed: ${answer.text}`)
  const { receipts = [] } = answer.body as { receipts?: { lease_id: string }[] }
  for (const { lease_id } of receipts) run.ended.set(lease_id, Date.now())
}

async function order(ground: Ground, run: Run, target: object): Promise<void> {
  const token = await ground.stack.operatorToken()
  const body = { target, reason: 'the harness says so' }
  const answer = await ground.persist('POST', '/v1/revocations', { token, body })
  if (answer.status !== 202) return void run.problems.push(`not ordered: ${answer.text}`)
  const id = String(answer.body.id)
  run.orders.add(id)
  for (let asked = 0; asked < 20; asked++) {
    const { body } = await ground.persist('GET', `/v1/revocations/${id}?wait_seconds=1`, { token })
    if (body.state === 'done') return
    await pause(100)
  }
}

/** Waits while the run's leases and task are to end by themselves, or until the armed program is dead and back. */
async function whileAlive(ground: Ground, program: Mortal, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000
  const wasArmed = ground.isArmed(program)
  while (performance.now() < end && (!wasArmed || ground.isArmed(program))) await pause(100)
}

export const scenarios: Readonly<Record<string, Scenario>> = {
  async released(ground, run) {
    const task = await open(ground, run)
    for (const lease of await buyBoth(ground, run, task)) {
      const answer = await ground.persist('DELETE', `/v1/leases/${lease}`, { token: run.token })
      if (answer.status !== 200) run.problems.push(`not released: ${answer.text}`)
      run.ended.set(lease, Date.now())
    }
  },
  async completed(ground, run) {
    run.purchases = 2
    const credentials = [report, query].map((asked) => ({ ...asked, ttl_seconds }))
    await complete(ground, run, await open(ground, run, { credentials }))
  },
  async revoked(ground, run) {
    const task = await open(ground, run)
    const leases = await buyBoth(ground, run, task)
    await order(ground, run, { account: run.account })
    for (const lease of leases) run.ended.set(lease, Date.now())
  },
  async 'revoked by task'(ground, run) {
    const task = await open(ground, run)
    const leases = await buyBoth(ground, run, task)
    await order(ground, run, { task: task.slice('/v1/tasks/'.length) })
    for (const lease of leases) run.ended.set(lease, Date.now())
  },
  async expired(ground, run) {
    await buyBoth(ground, run, await open(ground, run, { ttl_seconds: 4 }), 3)
    await whileAlive(ground, 'worker', 7)
  },
  async 'half made'(ground, run) {
    const task = await open(ground, run)
    for (const [asked, provider] of [[query, 'vault'] as const, [report, 'tokens'] as const]) {
      await withDeathOfServe(ground, `exchange>issue ${provider}.issue:before`, () => buy(ground, run, task, asked))
    }
    await whileAlive(ground, 'worker', 9)
  },
  async 'order left'(ground, run) {
    const task = await open(ground, run)
    await buyBoth(ground, run, task)
    const target = { task: task.slice('/v1/tasks/'.length) }
    await withDeathOfServe(ground, 'force-revoke ledger.createRevocation:after', () => order(ground, run, target))
    await whileAlive(ground, 'worker', 3)
  },
  async 'rules changed'(ground, run) {
    const task = await open(ground, run, { ttl_seconds: 90 })
    const [banned, permitted] = await buyBoth(ground, run, task, 90)
    if (banned === undefined || permitted === undefined) throw new Error('nothing to be judged was bought')
    await whileBanned(ground, run.account.slice('ci:'.length), async () => {
      run.problems.push(...(await problemsUnderBan(ground, run.token, { banned, permitted })))
    })
    run.ended.set(banned, Date.now())
    await complete(ground, run, task)
  },
}

/** In these the API dies of itself, so that the worker has to do what only it can do then. */
export const serveDiesIn = ['half made', 'order left']

async function withDeathOfServe(ground: Ground, point: string, play: () => Promise<unknown>): Promise<void> {
  ground.arm('serve', point)
  await play()
  ground.disarm('serve')
}
