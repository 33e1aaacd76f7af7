// An operator's orders: what each kind of target reaches and what not, what dry runs say, and how far an order is.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Stack, startStack } from '../support/stack.js'
import { stackPolicies } from '../support/stack-settings.js'
import { startVaultForStack, type VaultInStack, vaultPolicy } from '../support/vault-in-stack.js'
import {
  type Bought,
  buy,
  expectProblem,
  introspect,
  type LedgerView,
  lookIntoLedger,
  type OpenedTask,
  openTask,
  report,
  until,
} from '../support/wire-checks.js'

let beside: VaultInStack
let stack: Stack
let ledger: LedgerView
let token: string
let svid: string
let operator: string

beforeAll(async () => {
  beside = await startVaultForStack()
  stack = await startStack({ policies: stackPolicies + vaultPolicy, settings: beside.withVault })
  ledger = lookIntoLedger(stack)
  ;[token, svid, operator] = [await stack.ciToken(), await stack.svid(), await stack.operatorToken()]
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
  await beside?.vault.stop()
})

interface Ground {
  readonly task: OpenedTask
  readonly write: Bought
  readonly secret: Bought
  /** Of another issuer, account, task, action and resource. */
  readonly other: Bought
}

async function prepare(): Promise<Ground> {
  const task = await openTask(stack, token)
  const write = await buy(stack, token, task, { action: 'pull_request.open', resource: 'repo:acme/web' })
  const secret = await buy(stack, token, task, { action: 'database.query', resource: 'database:orders' })
  const other = await buy(stack, svid, await openTask(stack, svid), {
    action: 'report.read',
    resource: 'repo:acme/api',
  })
  return { task, write, secret, other }
}

async function alive(ground: Ground): Promise<string[]> {
  const { username, password } = ground.secret.credential.data as { username: string; password: string }
  const isLive = async (bought: Bought) => (await introspect(stack, token, bought.secret)).active === true
  return [
    ...((await isLive(ground.write)) ? ['write'] : []),
    ...(beside.vault.accepts(username, password) ? ['secret'] : []),
    ...((await isLive(ground.other)) ? ['other'] : []),
  ]
}

const order = (target: object, more: object = {}) =>
  stack.call('POST', '/v1/revocations', { token: operator, body: { target, reason: 'a leak', ...more } })
const progress = (id: unknown, query = 'wait_seconds=10') =>
  stack.call('GET', `/v1/revocations/${id}?${query}`, { token: operator })
const complete = (task: OpenedTask) =>
  stack.call('POST', `${task.path}/complete?wait_seconds=5`, { token: task.token, body: {} })

const principal = 'ci:repo:acme/web:ref:refs/heads/main'
const targets: [kind: string, target: (ground: Ground) => object, ends: string[]][] = [
  ['a lease', ({ write }) => ({ lease: write.lease }), ['write']],
  ['a task', ({ task }) => ({ task: task.id }), ['write', 'secret']],
  ['a principal', () => ({ principal }), ['write', 'secret']],
  ['an account', () => ({ account: 'ci:1296269' }), ['write', 'secret']],
  ['an issuer', () => ({ issuer: 'ci' }), ['write', 'secret']],
  ['an action', () => ({ action: 'pull_request.open' }), ['write']],
  ['a resource', () => ({ resource: 'database:orders' }), ['secret']],
  ['a provider', () => ({ provider: 'vault' }), ['secret']],
  ['all', () => ({ all: true }), ['write', 'secret', 'other']],
]

test.each(targets)('%s: a dry run counts, the order ends exactly those', async (_kind, targetOf, ends) => {
  await order({ all: true }).then(({ body }) => progress(body.id))
  await until(ledger.due, (due) => due.length === 0)
  const ground = await prepare()
  const target = targetOf(ground)
  const tried = await order(target, { dry_run: true })
  expect({ status: tried.status, body: tried.body }).toEqual({ status: 202, body: { id: null, matched: ends.length } })
  expect(await alive(ground)).toEqual(['write', 'secret', 'other'])

  const ordered = await order(target)
  expect(ordered).toMatchObject({ status: 202, body: { id: expect.stringMatching(/^rev_/), matched: ends.length } })
  const done = await until(
    async () => (await progress(ordered.body.id)).body,
    ({ state }) => state === 'done',
  )
  expect(done).toMatchObject({ matched: ends.length, done: ends.length, failed: 0 })
  expect(done.receipts).toHaveLength(ends.length)
  for (const receipt of done.receipts as object[]) expect(receipt).toMatchObject({ outcome: 'confirmed' })
  expect(await alive(ground)).toEqual(['write', 'secret', 'other'].filter((name) => !ends.includes(name)))

  const records = stack.auditRecords().filter((record) => record.revocation === ordered.body.id)
  expect(records).toMatchObject([
    { event: 'revocation.ordered', actor: 'staff:olga', reason: 'a leak', target, matched: ends.length },
  ])
  const endings = stack
    .auditRecords()
    .filter(({ event, lease }) => event === 'lease.ending' && lease === ground.write.lease)
  // A broker and a worker may carry the order out side by side; each tells of it once at most.
  expect(endings.length).toBeLessThanOrEqual(2)
  expect(endings.length > 0).toBe(ends.includes('write'))
  for (const ending of endings) expect(ending).toMatchObject({ actor: 'staff:olga', reason: 'revoked' })
  const task = (await stack.call('GET', ground.task.path, { token })).body
  expect(task.state).toBe('task' in target ? 'ended' : 'open')
  await complete(ground.task)
})

test('what nothing can end early is waited for, and the order says until when', async () => {
  const task = await openTask(stack, token)
  const offline = await buy(stack, token, task, { action: 'offline.read', resource: 'repo:acme/web', ttl_seconds: 20 })
  const { body } = await order({ task: task.id })
  const done = await until(
    async () => (await progress(body.id)).body,
    ({ state }) => state === 'done',
  )
  // Before its end: afterwards the receipt would say that it is over.
  expect(done.receipts).toMatchObject([{ lease_id: offline.lease, outcome: 'expires_at', evidence: 'none' }])
  await until(
    () => ledger.state(offline.lease),
    (state) => state === 'expired',
    60,
  )
})

test('an order that is given while no worker runs waits for one, and is paged', async () => {
  const task = await openTask(stack, token)
  for (let i = 0; i < 5; i++) await buy(stack, token, task, report)
  await stack.programs.worker?.kill('SIGKILL')
  const { body } = await order({ task: task.id })
  expect(body.matched).toBe(5)
  const first = (await progress(body.id, 'limit=2')).body
  expect(first).toMatchObject({ state: 'running', done: 0, next_cursor: expect.any(String) })
  expect(first.receipts).toMatchObject([{ outcome: 'pending' }, { outcome: 'pending' }])
  await stack.start('worker')
  await until(
    async () => (await progress(body.id)).body,
    ({ state }) => state === 'done',
  )
  const seen = new Set<string>()
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: { receipts: { lease_id: string }[]; next_cursor: string | null } = (
      await progress(body.id, `limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`)
    ).body as never
    for (const { lease_id } of page.receipts) seen.add(lease_id)
    cursor = page.next_cursor
  }
  expect(seen.size).toBe(5)
})

test('orders that reach nothing, and orders that are none', async () => {
  const { body } = await order({ account: 'ci:nobody' })
  expect(body.matched).toBe(0)
  expect((await progress(body.id)).body).toMatchObject({ state: 'done', matched: 0, receipts: [] })
  const unknown = await order({ lease: `lease_${'0'.repeat(26)}` })
  expect(unknown).toMatchObject({ status: 202, body: { matched: 0 } })
  const refused = { status: 400, code: 'invalid_request', field: 'target' }
  const wrong = [{}, { all: false }, { issuer: 'ci', all: true }, { where: {} }, { everything: true }, { lease: 'x' }]
  for (const target of wrong) {
    const answer = await order(target)
    expect(answer.body.errors).toMatchObject([{ field: expect.stringMatching(/^target/) }])
    expectProblem(answer, { status: 400, code: 'invalid_request' })
  }
  expectProblem(await order({ all: true }, { reason: '' }), { ...refused, field: 'reason' })
  expectProblem(await order({ all: true }, { dry_run: 'yes' }), { ...refused, field: 'dry_run' })
  expectProblem(await progress(`rev_${'0'.repeat(26)}`), { status: 404, code: 'not_found' })
  for (const cursor of ['AAAA', 'LTU', 'MS41'])
    expectProblem(await progress(body.id, `cursor=${cursor}`), { ...refused, field: 'cursor' })
})

test('operators see leases by filter, never a secret, and a page at a time', async () => {
  const task = await openTask(stack, token)
  const bought = [await buy(stack, token, task, report), await buy(stack, token, task, report)]
  const list = async (query: string) => (await stack.call('GET', `/v1/leases?${query}`, { token: operator })).body
  const ids = (body: Record<string, unknown>) => (body.leases as { id: string }[]).map(({ id }) => id).sort()
  expect(ids(await list(`task=${task.id}`))).toEqual(bought.map(({ lease }) => lease).sort())
  expect(ids(await list(`task=${task.id}&action=deploy.run`))).toEqual([])
  const first = await list(`task=${task.id}&limit=1`)
  expect(ids(first)).toHaveLength(1)
  const rest = await list(`task=${task.id}&limit=1&cursor=${first.next_cursor}`)
  expect([...ids(first), ...ids(rest)].sort()).toEqual(bought.map(({ lease }) => lease).sort())
  expect(JSON.stringify(await list(''))).not.toContain('eyJ')
})
