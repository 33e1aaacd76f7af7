// One broker of the races: the product as composed for `serve`, without its HTTP. The parent tells it what to ask for and at
// which moment; tokens are left out, so the callers are made up here. `program.js CONFIG`.
import type { CredentialRequest } from '../../src/api/credentials.js'
import type { DelegationRequest } from '../../src/api/delegations.js'
import { delegate } from '../../src/broker/delegate.js'
import { exchange } from '../../src/broker/exchange.js'
import { openTask } from '../../src/broker/open-task.js'
import type { Caller, Parts } from '../../src/broker/parts.js'
import { compose } from '../../src/compose/compose.js'
import { loadConfig } from '../../src/config/load.js'
import { BrokerError } from '../../src/core/errors.js'
import { issuerName } from './race-config.js'
import type { RaceCaller, Round } from './scenarios.js'

export interface Entry {
  readonly caller: RaceCaller
  readonly task: string
  readonly action: string
  readonly resource: string
}

/** What the parent may ask for. `at`: epoch milliseconds, when all brokers begin. */
export type Order =
  | { readonly id: number; readonly what: 'open'; readonly round: Round }
  | { readonly id: number; readonly what: 'race'; readonly at: number; readonly entries: readonly Entry[] }
  | { readonly id: number; readonly what: 'held'; readonly tasks: readonly string[] }
  | { readonly id: number; readonly what: 'decisions' }

const context: CredentialRequest['context'] = {}

function callerOf({ account, subject, instance }: RaceCaller): Caller {
  return {
    principal: {
      id: `${issuerName}:${subject}`,
      issuer: issuerName,
      subject,
      use: 'workload',
      attributes: {},
      account: `${issuerName}:${account}`,
      instance,
      sessionSeconds: 28_800,
      binding: 'none',
      person: null,
      tokenSha256: '0'.repeat(64),
      tokenExpiresAt: 4_000_000_000,
    },
    requestId: 'req_races',
  }
}

async function carryOut(parts: Parts, order: Order): Promise<unknown> {
  switch (order.what) {
    case 'open':
      return await openAll(parts, order.round)
    case 'race':
      await new Promise((resolve) => setTimeout(resolve, order.at - Date.now()))
      return await Promise.all(order.entries.map((entry) => ask(parts, entry)))
    case 'held': {
      const ids = await Promise.all(order.tasks.map((task) => parts.ledger.leasesOfTask(task)))
      const leases = await parts.ledger.findLeases(ids.flat())
      return leases.map(({ state, record }) => ({ state, action: record.action }))
    }
    case 'decisions':
      return (await parts.metrics.decisions.get()).values.reduce((sum, { value }) => sum + value, 0)
  }
}

/** Roots before their children. */
async function openAll(parts: Parts, { tasks, requests }: Round): Promise<string[]> {
  const pairs = new Map(requests.map(({ action, resource }) => [`${action} ${resource}`, { action, resource }]))
  const ceiling = [...pairs.values()]
  const opened: string[] = []
  for (const { parent, ...caller } of tasks) {
    const delegation = parent === null ? null : await handOn(parts, tasks[parent], opened[parent], caller, ceiling)
    const request = { purpose: 'a race', ...(delegation === null ? {} : { delegation }) }
    opened.push((await openTask(parts, callerOf(caller), request, null)).task.id)
  }
  return opened
}

async function handOn(
  parts: Parts,
  owner: RaceCaller | undefined,
  id: string | undefined,
  { subject, instance }: RaceCaller,
  ceiling: DelegationRequest['ceiling'],
): Promise<string> {
  const task = id === undefined ? null : await parts.ledger.findTask(id)
  if (owner === undefined || task === null) throw new Error('a child before its parent')
  const request = { delegate: { issuer: issuerName, subject, instance }, ceiling, ttl_seconds: 60 }
  return (await delegate(parts, callerOf(owner), task, request)).delegation.id
}

async function ask(parts: Parts, { caller, task, action, resource }: Entry): Promise<string> {
  try {
    await exchange(parts, callerOf(caller), task, { action, resource, context }, null)
    return 'issued'
  } catch (error) {
    return error instanceof BrokerError ? error.code : String(error)
  }
}

const composed = await compose(await loadConfig(process.argv[2] ?? '', process.env), 'serve', 'silent')
const { parts } = composed
// The sign that somebody sweeps: nobody does, since what is issued here outlives the races.
const sweeping = setInterval(() => void parts.ledger.takeDue([], 0).catch(() => undefined), 1000)
await parts.ledger.takeDue([], 0)
process.on('message', (order: Order) => {
  carryOut(parts, order).then(
    (answer) => process.send?.({ id: order.id, answer }),
    (error: unknown) => process.send?.({ id: order.id, error: String(error) }),
  )
})
process.once('disconnect', () => {
  clearInterval(sweeping)
  void composed.close().then(() => process.exit(0))
})
process.send?.({ id: 0, answer: 'ready' })
