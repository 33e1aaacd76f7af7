// How a credential ends, and what is said of it: task completed, lease released, time over, task's deadline, programs that are
// away meanwhile. "Dead" is what introspection, or the far side, says and not what a receipt claims.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Stack, startStack } from '../support/stack.js'
import { stackPolicies } from '../support/stack-settings.js'
import { startVaultForStack, type VaultInStack, vaultPolicy } from '../support/vault-in-stack.js'
import { quickestOf } from '../support/wall-time.js'
import {
  type Bought,
  buy,
  introspect,
  type LedgerView,
  lookIntoLedger,
  openTask,
  pause,
  report,
  until,
} from '../support/wire-checks.js'

let beside: VaultInStack
let stack: Stack
let ledger: LedgerView
let token: string

beforeAll(async () => {
  beside = await startVaultForStack()
  stack = await startStack({ policies: stackPolicies + vaultPolicy, settings: beside.withVault })
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
  await beside?.vault.stop()
})

const query = { action: 'database.query', resource: 'database:orders', ttl_seconds: 300 }
const offline = { action: 'offline.read', resource: 'repo:acme/web', ttl_seconds: 15 }
const isActive = async (bought: Bought) => (await introspect(stack, token, bought.secret)).active
const read = async (bought: Bought) => (await stack.call('GET', `/v1/leases/${bought.lease}`, { token })).body
const untilEnded = (bought: Bought, seconds = 60) =>
  until(
    () => read(bought),
    ({ ended_at }) => ended_at !== null,
    seconds,
  )
const accepts = ({ credential }: Bought) => {
  const { username, password } = credential.data as { username: string; password: string }
  return beside.vault.accepts(username, password)
}
const recordsOf = (lease: string) => stack.auditRecords().filter((record) => record.lease === lease)

describe('a task that completes', () => {
  test('ends all of its leases with evidence; asked again it answers the same', async () => {
    const task = await openTask(stack, token)
    const [one, two] = [await buy(stack, token, task, report), await buy(stack, token, task, query)]
    const three = await buy(stack, token, task, offline)
    expect([await isActive(one), accepts(two)]).toEqual([true, true])
    const complete = () =>
      stack.call('POST', `${task.path}/complete?wait_seconds=30`, { token, body: { outcome: 'failed' } })
    const first = await complete()
    expect(first).toMatchObject({ status: 200, body: { task: { state: 'ended', outcome: 'failed' } } })
    const byLease = Object.fromEntries(
      (first.body.receipts as { lease_id: string }[]).map((receipt) => [receipt.lease_id, receipt]),
    )
    expect(byLease).toMatchObject({
      [one.lease]: { outcome: 'confirmed', evidence: 'probe_dead' },
      [two.lease]: { outcome: 'confirmed', evidence: 'probe_dead' },
      // Nobody can end it before its time, and nobody says so.
      [three.lease]: { outcome: 'expires_at', evidence: 'none' },
    })
    expect([await isActive(one), accepts(two)]).toEqual([false, false])
    await untilEnded(three)
    const again = await complete()
    expect(again.body.task).toEqual(first.body.task)
    const unchanged = ({ lease_id }: { lease_id: string }) => lease_id !== three.lease
    expect((again.body.receipts as { lease_id: string }[]).filter(unchanged)).toEqual(
      (first.body.receipts as { lease_id: string }[]).filter(unchanged),
    )
    // Another outcome comes too late to count.
    const late = await stack.call('POST', `${task.path}/complete`, {
      token: task.token,
      body: { outcome: 'succeeded' },
    })
    expect(late.body.task).toMatchObject({ outcome: 'failed' })
    expect(
      stack.auditRecords().filter((record) => record.task === task.id && record.event === 'task.ended'),
    ).toHaveLength(1)
  })

  test('without a wait answers at once what is still pending, and ends all the same', async () => {
    // Longer than the answer may take; the worker asks again after its time-out.
    beside.vault.delay('auth/token/revoke-accessor', 60_000)
    const task = await openTask(stack, token)
    const bought = await buy(stack, token, task, query)
    const answer = await stack.call('POST', `${task.path}/complete`, { token, body: {} })
    expect(answer.body).toMatchObject({ receipts: [{ lease_id: bought.lease, outcome: 'pending' }] })
    beside.vault.delay('auth/token/revoke-accessor', 0)
    expect(await untilEnded(bought)).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
  })

  test('may be completed with the task token when the subject token has expired', async () => {
    const brief = await stack.ciToken({ exp: Math.floor(Date.now() / 1000) - 12 })
    const task = await openTask(stack, brief)
    const bought = await buy(stack, token, task, report)
    await until(
      () => stack.call('GET', task.path, { token: brief }),
      ({ status }) => status === 401,
      60,
    )
    const done = await stack.call('POST', `${task.path}/complete?wait_seconds=30`, { token: task.token, body: {} })
    expect(done.body).toMatchObject({ receipts: [{ lease_id: bought.lease, outcome: 'confirmed' }] })
    expect(recordsOf(bought.lease)).toContainEqual(
      expect.objectContaining({ event: 'lease.ending', actor: `task-token:${task.id}` }),
    )
  })
})

test('a lease that is given back is dead, its task and the others live on, and giving it back again says the same', async () => {
  const task = await openTask(stack, token)
  const [kept, given] = [await buy(stack, token, task, report), await buy(stack, token, task, query)]
  const first = await stack.call('DELETE', `/v1/leases/${given.lease}`, { token })
  expect(first.body).toMatchObject({ receipt: { outcome: 'confirmed', evidence: 'probe_dead' } })
  expect([accepts(given), await isActive(kept)]).toEqual([false, true])
  expect((await stack.call('DELETE', `/v1/leases/${given.lease}`, { token })).body).toEqual(first.body)
  expect(await read(given)).toMatchObject({ state: 'revoked', end_reason: 'released', ended_at: expect.any(String) })
  expect(recordsOf(given.lease).map(({ event }) => event)).toEqual([
    'lease.reserved',
    'lease.issued',
    'lease.ending',
    'lease.ended',
  ])
})

test('a copy of a standing secret is released, and its receipt says that nothing was revoked', async () => {
  const task = await openTask(stack, token)
  const copied = await buy(stack, token, task, { action: 'settings.read', resource: 'database:orders' })
  const answer = await stack.call('DELETE', `/v1/leases/${copied.lease}`, { token })
  expect(answer.body).toMatchObject({ receipt: { outcome: 'not_revocable', evidence: 'none' } })
  expect(await read(copied)).toMatchObject({ state: 'released', revocation: 'standing' })
})

describe('time', () => {
  test.each([
    ['a token of ours', { ...report, ttl_seconds: 12 }],
    ['a token that is verified offline', offline],
    ['a secret of Vault’s', { ...query, ttl_seconds: 12 }],
  ])('ends %s by itself', async (_name, asked) => {
    // A stall of the machine's makes one of them late, what is slow makes each.
    const lateness = async () => {
      const task = await openTask(stack, token)
      const bought = await buy(stack, token, task, asked)
      expect(await isAlive(bought)).toBe(true)
      await pause(bought.expiresAt - Date.now() + 20)
      expect(await isAlive(bought)).toBe(false)
      const ended = await untilEnded(bought)
      expect(ended).toMatchObject({ state: 'expired', end_reason: 'expired', receipt: { outcome: 'confirmed' } })
      expect((await stack.call('GET', task.path, { token })).body.state).toBe('open')
      return Date.parse(String(ended.ended_at)) - bought.expiresAt
    }
    expect(await quickestOf(lateness, 5000, 3)).toBeLessThan(5000)
  })

  test('no lease outlives its task; the deadline ends both', async () => {
    const task = await openTask(stack, token, { ttl_seconds: 12 })
    const bought = await buy(stack, token, task, { ...query, ttl_seconds: 600 })
    const { expires_at } = (await stack.call('GET', task.path, { token })).body
    expect(bought.expiresAt).toBeLessThanOrEqual(Date.parse(String(expires_at)))
    await untilEnded(bought)
    expect(accepts(bought)).toBe(false)
    const ended = await until(
      async () => (await stack.call('GET', task.path, { token })).body,
      ({ state }) => state === 'ended',
    )
    expect(ended).toMatchObject({ outcome: 'deadline' })
  })
})

const isAlive = async (bought: Bought) => ('data' in bought.credential ? accepts(bought) : await isActive(bought))

describe('programs that come and go', () => {
  test('serve starts again, and leases, tasks and task tokens are as they were', async () => {
    const task = await openTask(stack, token)
    const bought = await buy(stack, token, task, report)
    await stack.restart('serve')
    await stack.untilReady()
    expect(await isActive(bought)).toBe(true)
    expect((await stack.call('GET', task.path, { token: task.token })).body).toMatchObject({
      id: task.id,
      state: 'open',
    })
    await stack.call('POST', `${task.path}/complete?wait_seconds=30`, { token, body: {} })
    expect(await isActive(bought)).toBe(false)
  })

  test('a worker that was killed while leases fell due catches up', async () => {
    const task = await openTask(stack, token)
    const due = [
      await buy(stack, token, task, { ...query, ttl_seconds: 13 }),
      await buy(stack, token, task, { ...report, ttl_seconds: 12 }),
    ]
    const released = await buy(stack, token, task, query)
    await stack.programs.worker?.kill('SIGKILL')
    const pending = await stack.call('DELETE', `/v1/leases/${released.lease}`, { token })
    expect(pending.body).toMatchObject({ receipt: { outcome: 'pending' } })
    await pause(Math.max(...due.map(({ expiresAt }) => expiresAt)) - Date.now() + 500)
    // Nobody looked after them, and yet nothing outlived its time.
    for (const bought of due) expect(await isAlive(bought)).toBe(false)
    expect(accepts(released)).toBe(true)
    await stack.start('worker')
    for (const bought of due) expect(await untilEnded(bought)).toMatchObject({ state: 'expired' })
    expect(await untilEnded(released)).toMatchObject({ state: 'revoked', end_reason: 'released' })
    expect(accepts(released)).toBe(false)
    await until(ledger.due, (ids) => ![...due, released].some(({ lease }) => ids.includes(lease)))
  })
})
