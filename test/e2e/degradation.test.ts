// What happens when something that Hallpass stands on is down or slow: the table of README, "How it fails", the rows of others' parts.
// Each test asks for the answer, its code and Retry-After, the audit, the lease, and what the provider saw.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { config, type Degradation, short, startDegradation } from '../support/degradation.js'
import { buy, expectProblem, introspect, openTask, pause, report, until } from '../support/wire-checks.js'

let on: Degradation
beforeAll(async () => {
  on = await startDegradation()
})
afterAll(async () => {
  await on?.stop()
})
afterEach(() => {
  on.beside.vault.delay('', 0)
  on.second.behave('well')
})

const nothingAtVault = () =>
  until(
    () => on.beside.vault.alive().accessors,
    (alive) => alive.length === 0,
    30,
  )

const ended = (lease: string) =>
  until(
    async () => ({ state: await on.ledger.state(lease), due: (await on.ledger.due()).includes(lease) }),
    ({ state, due }) => /^(revoked|expired|void)$/.test(String(state)) && !due,
    40,
  )

test('Redis down: 503; credentials die by their own lifetime; on its return the sweeper catches up', async () => {
  const { stack, ledger } = on
  const bought = await buy(stack, on.token, on.task, short)
  expect(on.beside.vault.alive().accessors).toHaveLength(1)
  await stack.redis.stop('SIGKILL')
  await on.expectNothing(config, 'ledger_unavailable')
  const released = await stack.call('DELETE', `/v1/leases/${bought.lease}`, { token: on.token })
  expectProblem(released, { status: 503, code: 'ledger_unavailable', retryAfter: true })
  // Nobody could have ended it: the Vault did, which was asked for no more than the lease's life.
  await nothingAtVault()
  expect(on.eventsOf(bought.lease)).toEqual(['lease.reserved', 'lease.issued'])
  await stack.redis.start()
  await stack.untilReady()
  expect(await ended(bought.lease)).toEqual({ state: 'expired', due: false })
  expect(on.recordsOf(bought.lease).at(-1)).toMatchObject({
    event: 'lease.ended',
    state: 'expired',
    receipt: { outcome: 'confirmed' },
  })
  expect((await on.ask(config)).status).toBe(201)
  expect(await ledger.state(bought.lease)).toBe('expired')
}, 120_000)

test('Redis hangs: 503 within a bounded wait, and what was begun is looked after', async () => {
  const { stack } = on
  const pid = stack.redis.pid()
  process.kill(pid, 'SIGSTOP')
  try {
    const answers = await Promise.all([on.ask(config), on.ask(report), stack.call('GET', '/readyz')])
    expectProblem(answers[0], { status: 503, code: 'ledger_unavailable', retryAfter: true })
    expectProblem(answers[1], { status: 503, code: 'ledger_unavailable', retryAfter: true })
    expect(answers[2]).toMatchObject({ status: 503, body: { problems: { ledger_unavailable: expect.any(String) } } })
    for (const answer of answers.slice(0, 2)) expect(on.recordsOfRequest(answer)).toEqual([])
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await stack.untilReady()
  expect((await on.ask(config)).status).toBe(201)
})

test('Redis nearly full: 503 while there is room left to end what is out; with room again everything goes on', async () => {
  const { stack, ledger } = on
  const bought = await buy(stack, on.token, on.task, config)
  // What it uses goes up and down with its clients' buffers: the room that is left is the same all the while.
  const squeeze = async () => {
    const used = Number(/used_memory:(\d+)/.exec(await ledger.redis.info('memory'))?.[1])
    await ledger.redis.config('SET', 'maxmemory', `${Math.floor(used / 0.94)}`)
  }
  let isOver = false
  const squeezing = (async () => {
    for (; !isOver; await pause(100)) await squeeze()
  })()
  try {
    await until(
      () => stack.call('GET', '/readyz'),
      ({ status }) => status === 503,
      30,
    )
    const held = await ledger.leaseIds()
    for (const asked of [config, report]) {
      const refused = await on.expectNothing(asked, 'ledger_unavailable')
      expect(refused.body.detail).toMatch(/maxmemory/)
      expect(on.recordsOfRequest(refused)).toEqual([])
    }
    expect(await ledger.leaseIds()).toEqual(held)
    const ready = await stack.call('GET', '/readyz')
    expect(ready.body).toMatchObject({ problems: { ledger_unavailable: expect.stringContaining('maxmemory') } })
    const released = await on.release(bought.lease)
    expect(released.body).toMatchObject({ receipt: { outcome: 'confirmed', evidence: 'probe_dead' } })
    expect(on.eventsOf(bought.lease)).toEqual(['lease.reserved', 'lease.issued', 'lease.ending', 'lease.ended'])
    expect([...(await on.beside.leasesByAccessor()).values()]).not.toContain(bought.lease)
  } finally {
    isOver = true
    await squeezing
    await ledger.redis.config('SET', 'maxmemory', '0')
    await stack.untilReady()
  }
  expect((await on.ask(config)).status).toBe(201)
}, 120_000)

test('a provider down: 503 after its time-out, then at once; revocations wait and retry; others go on', async () => {
  const { stack, beside } = on
  const bought = await buy(stack, on.token, on.task, config)
  const other = await buy(stack, on.token, on.task, report)
  beside.vault.delay('', 15_000)
  const away = { status: 503, code: 'provider_unavailable', retryAfter: true } as const
  const late = await Promise.all(Array.from({ length: 6 }, () => on.ask(config)))
  for (const answer of late) {
    expectProblem(answer, away)
    expect(on.recordsOfRequest(answer).map(({ event }) => event)).toEqual(
      expect.arrayContaining(['lease.reserved', 'request.refused']),
    )
  }
  // Open now: nothing is reserved and the Vault is not asked.
  const calls = beside.vault.calls.length
  const refused = await on.expectNothing(config, 'provider_unavailable')
  expect(on.recordsOfRequest(refused)).toMatchObject([{ event: 'request.refused', code: 'provider_unavailable' }])
  expect(beside.vault.calls.slice(calls).filter(({ path }) => path.startsWith('auth/token/create'))).toEqual([])
  expect((await stack.call('GET', '/metrics')).text).toMatch(
    /hallpass_breaker_state\{provider="vault",direction="issue"\} [12]/,
  )
  expect((await stack.call('GET', '/readyz')).body).toMatchObject({
    ready: true,
    providers: { vault: expect.any(String) },
  })
  // Its revocation is ordered and on record; the other provider's is carried out meanwhile.
  const ordered = await stack.call('DELETE', `/v1/leases/${bought.lease}`, { token: on.token })
  expect(ordered).toMatchObject({ status: 200, body: { receipt: { outcome: 'pending' } } })
  expect(await on.ledger.state(bought.lease)).toBe('revoking')
  expect(await on.ledger.due()).toContain(bought.lease)
  expect(on.eventsOf(bought.lease)).toEqual(['lease.reserved', 'lease.issued', 'lease.ending'])
  const released = await on.release(other.lease)
  expect(released.body).toMatchObject({ receipt: { outcome: 'confirmed' } })
  expect((await on.ask(report)).status).toBe(201)
  // Back: all is ended, what timed out included, and both breakers close.
  beside.vault.delay('', 0)
  await ended(bought.lease)
  for (const answer of late) await ended(on.leaseOf(answer))
  expect(on.recordsOf(bought.lease).at(-1)).toMatchObject({
    event: 'lease.ended',
    state: 'revoked',
    receipt: { outcome: 'confirmed' },
  })
  await until(
    () => on.ask(config),
    ({ status }) => status === 201,
    30,
  )
}, 120_000)

test("an issuer's keys away: the known ones serve within max_stale, then 503; other issuers go on", async () => {
  const { stack, second } = on
  const token = await on.secondToken()
  const task = await openTask(stack, token)
  const ask = () => stack.call('POST', `${task.path}/credentials`, { token, body: config })
  second.behave('down')
  const within = await ask()
  expect(within.status).toBe(201)
  const { id } = within.body.lease as { id: string }
  const [mints, held] = [on.mints(), await on.ledger.leaseIds()]
  await until(
    () => stack.call('GET', task.path, { token }),
    ({ status }) => status !== 200,
    30,
  )
  const refused = await ask()
  expectProblem(refused, { status: 503, code: 'issuer_unavailable', retryAfter: true })
  expect(on.recordsOfRequest(refused)).toEqual([])
  expect(await on.ledger.leaseIds()).toEqual(held)
  expect(on.mints()).toBe(mints)
  expect((await stack.call('GET', '/readyz')).body).toMatchObject({
    ready: true,
    issuers: { second: expect.any(String) },
  })
  expect((await on.ask(report)).status).toBe(201)
  expect(await on.ledger.state(id)).toBe('active')
  // The task token needs no issuer: what is out can be ended.
  const completed = await stack.call('POST', `${task.path}/complete?wait_seconds=10`, { token: task.token, body: {} })
  expect(completed.status).toBe(200)
  const receipts = completed.body.receipts as { outcome: string }[]
  expect(new Set(receipts.map(({ outcome }) => outcome))).toEqual(new Set(['confirmed']))
  await ended(id)
  second.behave('well')
  await until(
    () => openTask(stack, token).catch(() => null),
    (opened) => opened !== null,
    30,
  )
}, 120_000)

test("clocks apart: 503, nothing reserved or asked for; what lives ends by the ledger's clock", async () => {
  const { stack } = on
  const bought = await buy(stack, on.token, on.task, short)
  const copy = await buy(stack, on.token, on.task, report)
  const fast = 'const now = Date.now; Date.now = () => now() + 7000'
  await stack.programs.serve?.kill()
  await stack.start('serve', { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(fast)}` })
  const held = await on.ledger.leaseIds()
  for (const asked of [config, report]) await on.expectNothing(asked, 'clock')
  expect(await on.ledger.leaseIds()).toEqual(held)
  expect((await stack.call('GET', '/readyz')).body).toMatchObject({ problems: { clock: expect.any(String) } })
  const released = await on.release(copy.lease)
  expect(released.body).toMatchObject({ receipt: { outcome: 'confirmed' } })
  await ended(bought.lease)
  const record = on.recordsOf(bought.lease).at(-1)
  expect(record).toMatchObject({ event: 'lease.ended', state: 'expired' })
  // Not seven seconds early: the worker's and Redis's clocks are right.
  expect(Date.parse(String(record?.time))).toBeGreaterThanOrEqual(bought.expiresAt)
  await stack.restart('serve')
  await stack.untilReady()
  expect(await introspect(stack, on.token, copy.secret)).toEqual({ active: false })
  expect((await on.ask(config)).status).toBe(201)
}, 120_000)
