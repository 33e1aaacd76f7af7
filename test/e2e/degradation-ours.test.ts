// What happens when a part of Hallpass itself is down, slow or killed: the table of README, "How it fails", the rows of our own parts.
import { execFileSync, spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { config, type Degradation, query, short, startDegradation } from '../support/degradation.js'
import { runHallpassOnHost } from '../support/run-hallpass.js'
import { buy, expectProblem, introspect, openTask, pause, report, until } from '../support/wire-checks.js'

let on: Degradation
beforeAll(async () => {
  on = await startDegradation()
})
afterAll(async () => {
  await on?.stop()
})

const ended = (lease: string) =>
  until(
    async () => ({ state: await on.ledger.state(lease), due: (await on.ledger.due()).includes(lease) }),
    ({ state, due }) => /^(revoked|expired|void)$/.test(String(state)) && !due,
    50,
  )

const vaultHasNothing = () =>
  until(
    () => on.beside.vault.alive(),
    ({ accessors, leases }) => accessors.length + leases.length === 0,
    30,
  )

// A limit on the size of files, set on the running program: every write of the audit fails as on a full disk.
const canFillDisk = spawnSync('prlimit', ['--version']).status === 0
const limitFiles = (program: 'serve' | 'worker', bytes: string) =>
  execFileSync('prlimit', ['--pid', `${on.stack.programs[program]?.pid}`, `--fsize=${bytes}:`])

;(canFillDisk || process.env.HALLPASS_REQUIRE_REAL === '1' ? test : test.skip)(
  'the audit sink full: 503 and nothing minted; revocation goes on, its record is owed and written late',
  async () => {
    const { stack, ledger } = on
    const bought = await buy(stack, on.token, on.task, config)
    limitFiles('serve', '1')
    limitFiles('worker', '1')
    const answer = await on.expectNothing(config, 'audit_unavailable')
    expect(on.recordsOfRequest(answer)).toEqual([])
    const ready = await stack.call('GET', '/readyz')
    expect(ready).toMatchObject({ status: 503, body: { problems: { audit_unavailable: expect.any(String) } } })
    const isProbe = (line: string) => line.includes(`"${ready.headers['x-request-id']}"`)
    const logged = () => stack.programs.serve?.output().split('\n').find(isProbe) ?? '{}'
    expect(JSON.parse(await until(logged, (line) => line !== '{}'))).toMatchObject({ level: 40, status: 503 })
    const released = await on.release(bought.lease)
    expect(released.body).toMatchObject({ receipt: { outcome: 'confirmed' } })
    expect(await ended(bought.lease)).toMatchObject({ state: 'revoked' })
    await vaultHasNothing()
    expect(on.eventsOf(bought.lease)).not.toContain('lease.ended')
    expect(await ledger.redis.zrange(ledger.key('owed'), '0', '-1')).toContain(bought.lease)
    limitFiles('serve', 'unlimited')
    limitFiles('worker', 'unlimited')
    await stack.untilReady()
    await until(
      () => ledger.redis.zcard(ledger.key('owed')),
      (owed) => owed === 0,
      40,
    )
    expect(on.recordsOf(bought.lease).at(-1)).toMatchObject({ event: 'lease.ended', state: 'revoked', owed: true })
    expect((await on.ask(report)).status).toBe(201)
    expect(await runHallpassOnHost(stack, 'audit', 'verify')).toMatchObject({ code: 0 })
  },
  120_000,
)

/** Before each flush of a program's audit; `pause(ms)` and `existsSync` are at hand. */
function withDiskThat(does: string): { NODE_OPTIONS: string } {
  const code = `import { open } from 'node:fs/promises'; import { existsSync } from 'node:fs'
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
    const file = await open(process.execPath); const kind = Object.getPrototypeOf(file); await file.close()
    const { datasync } = kind
    kind.datasync = async function () {
      ${does}
      return datasync.call(this)
    }`
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` }
}

test('an audit disk that hangs: 503 within a bounded wait, then at once; nothing is minted meanwhile', async () => {
  const { stack, ledger } = on
  // The real file, the real descriptor: its flush waits for as long as a file of this name is there.
  const flag = join(stack.directory, 'disk-hangs')
  await stack.programs.serve?.kill()
  await stack.start('serve', withDiskThat(`while (existsSync(${JSON.stringify(flag)})) await pause(20)`))
  await stack.untilReady()
  expect((await on.ask(report)).status).toBe(201)
  const [held, mints] = [new Set(await ledger.leaseIds()), on.mints()]
  writeFileSync(flag, '')
  const unavailable = { status: 503, code: 'audit_unavailable', retryAfter: true } as const
  // Bounded: without an end to its waiting this answer would not come at all while the disk hangs.
  expectProblem(await on.ask(config), unavailable)
  expectProblem(await on.ask(config), unavailable)
  expect((await stack.call('GET', '/readyz')).body).toMatchObject({
    problems: { audit_unavailable: expect.any(String) },
  })
  expect(on.mints()).toBe(mints)
  const fresh = (await ledger.leaseIds()).filter((id) => !held.has(id))
  expect(fresh.length).toBeGreaterThan(0)
  for (const lease of fresh) await ended(lease)
  rmSync(flag)
  await stack.untilReady()
  expect((await on.ask(config)).status).toBe(201)
  await stack.restart('serve')
  await stack.untilReady()
}, 120_000)

test("a worker's audit disk that is slow: what is due is ended in time, and sweeps are seen all the while", async () => {
  const { stack, ledger } = on
  await stack.programs.worker?.kill()
  await stack.start('worker', withDiskThat('await pause(700)'))
  await stack.untilReady()
  const ends = Date.now() + 5000
  const open = async () => {
    const ttl_seconds = Math.max(1, Math.round((ends - Date.now()) / 1000))
    return await stack.call('POST', '/v1/tasks', { token: on.token, body: { purpose: 'many at once', ttl_seconds } })
  }
  const opened = await Promise.all(Array.from({ length: 60 }, open))
  expect(new Set(opened.map(({ status }) => status))).toEqual(new Set([201]))
  const bought = await buy(stack, on.token, on.task, { ...short, ttl_seconds: 6 })
  const problems = new Set<string>()
  await until(
    async () => {
      const ready = await stack.call('GET', '/readyz')
      for (const problem of Object.keys((ready.body.problems ?? {}) as object)) problems.add(problem)
      const states = opened.map(async ({ body }) => {
        const task = await stack.call('GET', `/v1/tasks/${(body.task as { id: string }).id}`, { token: on.token })
        return task.body.state
      })
      return { tasks: new Set(await Promise.all(states)), lease: await ledger.state(bought.lease) }
    },
    ({ tasks, lease }) => !tasks.has('open') && lease === 'expired',
    60,
  )
  expect([...problems]).toEqual([])
  expect((await on.ask(report)).status).toBe(201)
  expect([...(await on.beside.leasesByAccessor()).values()]).not.toContain(bought.lease)
  // Sixty tasks, each of which waited for the end of the one before it, would have taken 42 s of the disk alone.
  const [record] = on.recordsOf(bought.lease).filter(({ event }) => event === 'lease.ended')
  expect(Date.parse(String(record?.time))).toBeLessThan(bought.expiresAt + 20_000)
  await stack.restart('worker')
  await stack.untilReady()
}, 120_000)

test('no worker: no_worker when no sweep has been seen; credentials die by their own lifetime', async () => {
  const { stack, ledger } = on
  const bought = await buy(stack, on.token, on.task, short)
  const copy = await buy(stack, on.token, on.task, { ...report, ttl_seconds: 10 })
  const held = await ledger.leaseIds()
  await stack.programs.worker?.kill('SIGKILL')
  await until(
    () => stack.call('GET', '/readyz'),
    ({ status }) => status === 503,
    40,
  )
  for (const asked of [config, report]) await on.expectNothing(asked, 'no_worker')
  expect((await stack.call('GET', '/readyz')).body).toMatchObject({ problems: { no_worker: expect.any(String) } })
  // Past their deadline nobody has settled them, and nobody can use them.
  await pause(Math.max(0, Math.max(bought.expiresAt, copy.expiresAt) - Date.now()) + 10)
  expect(on.beside.vault.calls.filter(({ path, at }) => path.includes('revoke') && at > bought.expiresAt)).toEqual([])
  // The Vault counts from the moment at which it was asked.
  await until(
    () => on.beside.leasesByAccessor(),
    (alive) => ![...alive.values()].includes(bought.lease),
  )
  expect(await introspect(stack, on.token, copy.secret)).toEqual({ active: false })
  for (const { lease } of [bought, copy]) {
    expect(await ledger.state(lease)).toBe('active')
    expect(await ledger.due()).toContain(lease)
    expect(on.eventsOf(lease)).toEqual(['lease.reserved', 'lease.issued'])
  }
  expect(held).toEqual(expect.arrayContaining([bought.lease, copy.lease]))
  await stack.start('worker')
  await stack.untilReady()
  for (const { lease } of [bought, copy]) {
    expect(await ended(lease)).toMatchObject({ state: 'expired' })
    expect(on.recordsOf(lease).at(-1)).toMatchObject({ event: 'lease.ended', state: 'expired' })
  }
}, 120_000)

test('a broker killed while it mints: the lease comes due, is found by its handle, and revoked', async () => {
  const { stack, ledger, beside } = on
  const task = await openTask(stack, on.token)
  const held = new Set(await ledger.leaseIds())
  let seen: () => void = () => {}
  const reached = new Promise<void>((resolve) => {
    seen = resolve
  })
  // The token is made and noted; the secret is asked for and never comes.
  beside.vault.answerNext('database/creds', () => seen())
  const lost = stack.call('POST', `${task.path}/credentials`, { token: on.token, body: query }).catch(() => 'cut off')
  await reached
  await stack.programs.serve?.kill('SIGKILL')
  expect(await lost).toBe('cut off')
  const fresh = (await ledger.leaseIds()).filter((id) => !held.has(id))
  expect(fresh).toHaveLength(1)
  const lease = String(fresh[0])
  expect(await ledger.state(lease)).toBe('reserved')
  expect([...(await beside.leasesByAccessor()).values()]).toContain(lease)
  // Within the provider's time-out (3 s) + 5 s it is due, and no broker is there to do it.
  const due = Number(await ledger.redis.zscore(ledger.key('due:vault'), lease))
  expect(due).toBeLessThanOrEqual(Date.now() + 8000)
  expect(await ended(lease)).toMatchObject({ state: 'revoked' })
  expect([...(await beside.leasesByAccessor()).values()]).not.toContain(lease)
  const events = on.eventsOf(lease)
  expect(events).toEqual(expect.arrayContaining(['lease.reserved', 'lease.ended']))
  expect(events).not.toContain('lease.issued')
  expect(on.recordsOf(lease).at(-1)).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
  await stack.start('serve')
  await stack.untilReady()
  expect((await on.ask(query)).status).toBe(201)
}, 120_000)

test('a broker killed before the provider was asked: proven never minted', async () => {
  const { stack, ledger, beside } = on
  const held = new Set(await ledger.leaseIds())
  // A new broker has not logged in: its login is where it waits.
  await stack.restart('serve')
  await stack.untilReady()
  const mints = on.mints()
  let seen: () => void = () => {}
  const reached = new Promise<void>((resolve) => {
    seen = resolve
  })
  beside.vault.answerNext('auth/jwt/login', () => seen())
  const lost = on.ask(config).catch(() => 'cut off')
  await reached
  await stack.programs.serve?.kill('SIGKILL')
  expect(await lost).toBe('cut off')
  const fresh = (await ledger.leaseIds()).filter((id) => !held.has(id))
  expect(fresh).toHaveLength(1)
  const lease = String(fresh[0])
  expect(await ended(lease)).toMatchObject({ state: 'void' })
  expect(on.mints()).toBe(mints)
  expect(on.eventsOf(lease)).toEqual(['lease.reserved', 'lease.ended'])
  await stack.start('serve')
  await stack.untilReady()
}, 120_000)
