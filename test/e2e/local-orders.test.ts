// The commands of locks and orders: against a broker, and on its host while single sign-on is down.
import { spawnSync } from 'node:child_process'
import { userInfo } from 'node:os'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { hallpassProgram, type Stack, startStack } from '../support/stack.js'
import { stackPolicies } from '../support/stack-settings.js'
import { buy, expectProblem, type LedgerView, lookIntoLedger, openTask, report, until } from '../support/wire-checks.js'

let stack: Stack
let ledger: LedgerView
let token: string
let operator: string
// Each command is a process of its own.
jest.setTimeout(180_000)
beforeAll(async () => {
  stack = await startStack({
    policies: `${stackPolicies}
@id("on-call-locks")
permit (principal in Group::"on-call", action in [Action::"operate.lock", Action::"operate.unlock"], resource);
`,
  })
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
  operator = await stack.operatorToken()
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
})

const account = 'ci:1296269'
const ask = (path: string) => stack.call('POST', `${path}/credentials`, { token, body: { ...report } })
const json = (ran: { stdout: string }) => JSON.parse(ran.stdout) as Record<string, unknown>

test('lock add, list and remove', async () => {
  const task = await openTask(stack, token)
  const added = await stack.runAs(
    operator,
    'lock',
    'add',
    'account',
    account,
    '--reason',
    'stolen',
    '--for',
    '4h',
    '--output',
    'json',
  )
  expect(added).toMatchObject({ code: 0, stderr: '' })
  const { id, expires_at } = json(added) as { id: string; expires_at: string }
  expect(Date.parse(expires_at) - Date.now()).toBeGreaterThan(3.9 * 3_600_000)
  expectProblem(await ask(task.path), { status: 403, code: 'locked' })
  const list = await stack.runAs(operator, 'lock', 'list')
  expect(list.stdout).toContain(id)
  expect(list.stdout).toContain(`account ${account}`)
  expect(await stack.runAs(operator, 'lock', 'remove', id)).toMatchObject({ code: 0 })
  await buy(stack, token, task, report)
  expect(await stack.runAs(operator, 'lock', 'remove', id)).toMatchObject({ code: 1 })
  expect(await stack.runAs(token, 'lock', 'list')).toMatchObject({ code: 4 })
})

test('revoke where, and with a lock', async () => {
  const task = await openTask(stack, token)
  const { lease } = await buy(stack, token, task, report)
  const where = ['where', 'issuer=ci', 'attributes.repository_id=1296269', '--reason', 'r']
  expect((await stack.runAs(operator, 'revoke', ...where, '--dry-run')).stdout).toContain('would be revoked')
  expect(await ledger.state(lease)).toBe('active')
  const ran = await stack.runAs(operator, 'revoke', 'account', account, '--reason', 'r', '--lock', '1h', '--wait')
  expect(ran).toMatchObject({ code: 0, stderr: expect.stringMatching(/lock_[0-9a-z]{26}: locked for 1h/) })
  expect(await ledger.state(lease)).toBe('revoked')
  expectProblem(await ask(task.path), { status: 403, code: 'locked' })
  const id = /lock_[0-9a-z]{26}/.exec(ran.stderr)?.[0] ?? ''
  expect((await stack.runAs(operator, 'lock', 'remove', id)).code).toBe(0)
})

test.each([
  [['revoke', 'where', '--reason', 'r']],
  [['revoke', 'where', 'color=red', '--reason', 'r']],
  [['revoke', 'where', 'issuer=ci', 'issuer=prod', '--reason', 'r']],
  [['revoke', 'where', 'issuer=ci', '--lock', '1h', '--reason', 'r']],
  [['revoke', 'account', 'a', 'b', '--reason', 'r']],
  [['revoke', 'everything', '--reason', 'r']],
  [['lock', 'add', 'where', 'issuer=ci', '--reason', 'r']],
  [['lock', 'add', 'account', '--reason', 'r']],
  [['lock', 'add', 'account', 'a', '--for', '1h', '--until', '2031-01-01T00:00:00Z', '--reason', 'r']],
  [['lock', 'add', 'account', 'a', '--until', 'tomorrow', '--reason', 'r']],
  [['lock', 'add', 'account', 'a']],
  [['lock', 'add', 'account', 'a', '--reason', '', '--local']],
  [['lease', 'abandon', 'lease_01hzy3v5q8k2m4n6p8r0s2t4v6']],
])('%j is a usage error', async (argv) => {
  expect((await stack.runAs(operator, ...argv)).code).toBe(2)
})

test('--local locks and revokes without a token, an issuer or a running broker, and says who it was', async () => {
  const { lease } = await buy(stack, token, await openTask(stack, token), report)
  const other = await buy(stack, await stack.svid(), await openTask(stack, await stack.svid()), report)
  stack.staff.behave('down')
  await stack.programs.serve?.kill('SIGKILL')
  const actor = `local:${userInfo().username}`

  const dry = await stack.run('revoke', 'account', account, '--reason', 'r', '--dry-run', '--local', '--output', 'json')
  expect(json(dry)).toEqual({ id: null, matched: 1 })
  expect(await ledger.state(lease)).toBe('active')

  const locked = await stack.run(
    'lock',
    'add',
    'account',
    account,
    '--reason',
    'sso is down',
    '--local',
    '--output',
    'json',
  )
  expect(locked).toMatchObject({ code: 0 })
  expect(json(locked)).toMatchObject({ id: expect.stringMatching(/^lock_/), target: { account } })
  await until(
    () => ledger.state(lease),
    (state) => state === 'revoked',
  )
  expect(await ledger.state(other.lease)).toBe('active')

  const revoked = await stack.run('revoke', 'all', '--reason', 'sso is down', '--lock', '1h', '--wait', '--local')
  expect(revoked).toMatchObject({ code: 0, stdout: expect.stringContaining('confirmed') })
  expect(await ledger.state(other.lease)).toBe('revoked')

  const records = stack.auditRecords().filter(({ chain }) => chain === 'test-local')
  expect(records.filter(({ event }) => event === 'lock.set')).toMatchObject([
    { actor, target: { account }, reason: 'sso is down', lock: json(locked).id },
    { actor, target: { all: true }, reason: 'sso is down' },
  ])
  expect(records).toContainEqual(expect.objectContaining({ event: 'revocation.ordered', actor, target: { all: true } }))
  expect(records.find(({ event }) => event === 'broker.started')).toMatchObject({ program: 'local' })
  const counts = await ledger.redis.hgetall(ledger.key('locked'))
  expect(counts).toEqual({ [`account=${account}`]: '1', 'all=true': '1' })
}, 180_000)

test('two --local commands at once both act, each on record in a chain of its own', async () => {
  const lockOne = (name: string) =>
    stack.run('lock', 'add', 'principal', `ci:${name}`, '--reason', name, '--local', '--output', 'json')
  const ran = await Promise.all(['one', 'two', 'three'].map(lockOne))
  expect(ran.map(({ code, stderr }) => ({ code, stderr }))).toEqual(ran.map(() => ({ code: 0, stderr: '' })))
  const records = stack
    .auditRecords()
    .filter(({ event, reason }) => event === 'lock.set' && /^(one|two|three)$/.test(`${reason}`))
  expect(records).toHaveLength(3)
  for (const { chain } of records) expect(chain).toMatch(/^test-local(-[2-9])?$/)
}, 180_000)

const canFillDisk = spawnSync('prlimit', ['--version']).status === 0

;(canFillDisk || process.env.HALLPASS_REQUIRE_REAL === '1' ? test : test.skip)(
  '--local on a full disk ends all the same, and says that it is not on record',
  async () => {
    const words = ['lock', 'add', 'principal', 'ci:full', '--reason', 'the disk is full', '--local']
    const env = { ...process.env, HALLPASS_CONFIG: stack.configFile }
    const ran = spawnSync('prlimit', ['--fsize=1', process.execPath, hallpassProgram, ...words], {
      env,
      encoding: 'utf8',
    })
    expect({ code: ran.status, stderr: ran.stderr }).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/audit_unavailable[\s\S]*holds all the same; it is not on record/),
    })
    expect(await ledger.redis.hget(ledger.key('locked'), 'principal=ci:full')).toBe('1')
  },
  180_000,
)

test('--local only shrinks: there is no lock to remove with it', async () => {
  expect((await stack.run('lock', 'remove', `lock_${'0'.repeat(26)}`, '--local')).code).toBe(2)
  expect((await stack.run('lease', 'retry', `lease_${'0'.repeat(26)}`, '--local')).code).toBe(2)
})

test('--local without Redis is unavailable, and says so', async () => {
  await stack.redis.stop()
  const ran = await stack.run('lock', 'add', 'all', '--reason', 'r', '--local')
  expect(ran).toMatchObject({ code: 6, stderr: expect.stringContaining('ledger_unavailable') })
  await stack.redis.start()
}, 180_000)
