// exec where people have to agree first: left open without a terminal, waited for on one, and gone on with later.
import { EventEmitter } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { credentials } from '../../support/answers.js'
import { runHallpass } from '../../support/command-line.js'
import { startWireServer, type WireServer } from '../../support/wire-server.js'
import { operatorToken, workloadToken } from '../../support/wire-state.js'

let wire: WireServer
let folder: string
let told: string
let drawn: string
const migrate = ['--action', 'database.migrate', '--resource', 'database:orders']

beforeEach(async () => {
  wire = await startWireServer()
  wire.offers.set('database.query', { credential: credentials.secret })
  wire.offers.set('database.migrate', { credential: credentials.jwt })
  wire.approvers.set('database.migrate', { group: 'dba', needed: 1 })
  folder = mkdtempSync(join(tmpdir(), 'hallpass-exec-'))
  told = join(folder, 'told.json')
  drawn = ''
})
afterEach(async () => {
  await wire.close()
  rmSync(folder, { recursive: true })
})

const terminal = (columns = 200) => ({
  columns,
  write: (text: string) => {
    drawn += text
  },
})
interface Around {
  environment?: Record<string, string>
  signals?: EventEmitter
  terminal?: ReturnType<typeof terminal>
}
function exec(options: string[], { environment, ...around }: Around = {}) {
  const script = join(folder, 'teller.cjs')
  writeFileSync(
    script,
    `require('node:fs').appendFileSync(${JSON.stringify(told)}, JSON.stringify(process.env) + '\\n')`,
  )
  const identity = { HALLPASS_URL: wire.url, HALLPASS_TOKEN: workloadToken, PATH: process.env.PATH ?? '' }
  return runHallpass(['exec', ...options, '--', process.execPath, script], {
    environment: { ...identity, ...environment },
    ...around,
  })
}
const runs = () =>
  existsSync(told)
    ? readFileSync(told, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, string>)
    : []
const answer = (id: string, word: 'approve' | 'deny') =>
  runHallpass([word, id, '--reason', 'because'], {
    environment: { HALLPASS_URL: wire.url, HALLPASS_TOKEN: operatorToken },
  })
const untilAsked = async () => {
  while (wire.approvals.size === 0) await sleep(10)
  return [...wire.approvals.keys()][0] ?? ''
}
/** ^C a moment after the approval was looked at. */
const endingSoon = () => {
  const signals = new EventEmitter()
  const before = wire.seen.length
  const timer = setInterval(() => {
    if (!wire.seen.slice(before).some(({ path }) => path.startsWith('/v1/approvals/'))) return
    clearInterval(timer)
    signals.emit('SIGINT')
  }, 10)
  return signals
}
const taskState = () => [...wire.tasks.values()].map(({ state, outcome }) => ({ state, outcome }))
const left = async (options: string[] = migrate) =>
  JSON.parse((await exec(options)).stdout) as {
    approvals: { id: string }[]
    approval: { id: string }
    task_id: string
    url: string
  }

describe('exec without a terminal', () => {
  test.each([[[]], [['--wait']]])('%j leaves the task open, prints JSON on stdout and exits 125', async (options) => {
    const ran = await exec([...migrate, ...options])
    const [id = ''] = wire.approvals.keys()
    const [taskId = ''] = wire.tasks.keys()
    expect(ran.exitCode).toBe(125)
    expect(JSON.parse(ran.stdout)).toMatchObject({
      approval: { id, state: 'pending', group: 'dba', needed: 1 },
      task_id: taskId,
      task_token: `token-of.${taskId}`,
      url: `https://hallpass.test/approvals/${id}`,
    })
    expect(ran.stderr).toContain(`go on with: hallpass exec --task ${taskId} --approval ${id} … -- CMD`)
    expect(taskState()).toEqual([{ state: 'open', outcome: null }])
    expect(runs()).toEqual([])
  })

  test('--task T --approval A goes on in that task, runs the command once and completes it', async () => {
    const { approval, task_id } = await left()
    await answer(approval.id, 'approve')
    const ran = await exec([...migrate, '--task', task_id, '--approval', approval.id])
    expect(ran).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(runs()).toHaveLength(1)
    expect(runs()[0]).toMatchObject({ HALLPASS_CREDENTIAL: 'minted.jwt.token', HALLPASS_TASK: task_id })
    expect(taskState()).toEqual([{ state: 'ended', outcome: 'succeeded' }])
    const again = await exec([...migrate, '--task', task_id, '--approval', approval.id])
    expect(again.exitCode).toBe(125)
    expect(again.stderr).toContain('was used already')
    expect(runs()).toHaveLength(1)
  })

  test('gone on with too early it is left open once more', async () => {
    const { approval, task_id } = await left()
    const ran = await exec([...migrate, '--task', task_id, '--approval', approval.id])
    expect(ran.exitCode).toBe(125)
    expect(JSON.parse(ran.stdout)).toMatchObject({ task_id, approval: { id: approval.id } })
    expect(taskState()).toEqual([{ state: 'open', outcome: null }])
  })

  test('gone on with after a denial it says so and ends the task', async () => {
    const { approval, task_id } = await left()
    await answer(approval.id, 'deny')
    const ran = await exec([...migrate, '--task', task_id, '--approval', approval.id])
    expect(ran).toMatchObject({ exitCode: 125, stdout: '' })
    expect(ran.stderr).toContain('was denied by staff:operator-1@acme.example: because')
    expect(taskState()).toEqual([{ state: 'ended', outcome: 'cancelled' }])
  })

  test('inside the task, it is left to whoever opened it', async () => {
    const { approval, task_id } = await left()
    await answer(approval.id, 'approve')
    const environment = { HALLPASS_TASK: task_id, HALLPASS_TASK_TOKEN: `token-of.${task_id}` }
    const ran = await exec([...migrate, '--task', task_id, '--approval', approval.id], { environment })
    expect(ran.exitCode).toBe(0)
    expect([...wire.leases.values()].map(({ state }) => state)).toEqual(['revoked'])
    expect(taskState()).toEqual([{ state: 'open', outcome: null }])
  })

  test('each approval goes to its own request, whatever their order', async () => {
    wire.offers.set('deploy.run', { credential: credentials.jwt })
    wire.approvers.set('deploy.run', { group: 'release', needed: 1 })
    const three = [
      ...migrate,
      '--credential',
      'x:deploy.run=repo:a/b',
      '--credential',
      'q:database.query=database:orders',
    ]
    const { approvals, task_id } = await left(three)
    expect(approvals).toHaveLength(2)
    for (const { id } of approvals) await answer(id, 'approve')
    const given = [...approvals].reverse().flatMap(({ id }) => ['--approval', id])
    expect((await exec([...three, '--task', task_id, ...given])).exitCode).toBe(0)
    const asked = wire.seen.filter(({ path }) => path.endsWith('/credentials')).map(({ body }) => body)
    expect(asked).toMatchObject([
      { action: 'database.migrate', approval_id: approvals[0]?.id },
      { action: 'deploy.run', approval_id: approvals[1]?.id },
      { action: 'database.query' },
    ])
    expect(asked[2]).not.toHaveProperty('approval_id')
  })

  test('two of the same action and resource are told apart by what was declared', async () => {
    const two = [
      ...['--credential', 'a:database.migrate=database:orders', '--context', 'a:change_type=schema'],
      ...['--credential', 'b:database.migrate=database:orders', '--context', 'b:change_type=data'],
      ...['--env', 'A=a.token', '--env', 'B=b.token'],
    ]
    const { approvals, task_id } = await left(two)
    for (const { id } of approvals) await answer(id, 'approve')
    const given = [...approvals].reverse().flatMap(({ id }) => ['--approval', id])
    expect(await exec([...two, '--task', task_id, ...given])).toMatchObject({ exitCode: 0 })
    const asked = wire.seen.filter(({ path }) => path.endsWith('/credentials')).map(({ body }) => body)
    expect(asked).toMatchObject([
      { context: { change_type: 'schema' }, approval_id: approvals[0]?.id },
      { context: { change_type: 'data' }, approval_id: approvals[1]?.id },
    ])
  })

  test('an approval of something else is no reason to run: the task is left as it is', async () => {
    const { approval, task_id } = await left()
    await answer(approval.id, 'approve')
    const ran = await exec([
      '--credential',
      'database.query=database:orders',
      '--task',
      task_id,
      '--approval',
      approval.id,
    ])
    expect(ran.exitCode).toBe(125)
    expect(ran.stderr).toContain('database.migrate on database:orders, which is not asked for here')
    expect(runs()).toEqual([])
    expect(taskState()).toEqual([{ state: 'open', outcome: null }])
    expect((await exec([...migrate, '--task', task_id, '--approval', approval.id])).exitCode).toBe(0)
  })

  test('in a task of somebody else what was minted before is given back', async () => {
    const { task_id } = await left()
    const ran = await exec(['--task', task_id, '--credential', 'database.query=database:orders', ...migrate])
    expect(ran.exitCode).toBe(125)
    expect([...wire.leases.values()].map(({ state }) => state)).toEqual(['revoked'])
    expect(taskState()).toEqual([{ state: 'open', outcome: null }])
  })

  test("is looked at by the task's own token, which some issuers' workloads have to show", async () => {
    const { approval, task_id } = await left()
    await answer(approval.id, 'approve')
    const environment = { HALLPASS_TASK: task_id, HALLPASS_TASK_TOKEN: `token-of.${task_id}` }
    expect((await exec([...migrate, '--task', task_id, '--approval', approval.id], { environment })).exitCode).toBe(0)
    const waited = await exec([...migrate, '--wait'], { terminal: terminal(), signals: endingSoon() })
    expect(waited.exitCode).toBe(130)
    const looks = wire.seen.filter(({ method, path }) => method === 'GET' && path.startsWith('/v1/approvals/'))
    expect(looks.length).toBeGreaterThan(1)
    for (const { headers } of looks) expect(headers.authorization).toMatch(/^Bearer token-of\.task_/)
  })

  test("another task's approval, and one without a task, are refused", async () => {
    const { approval } = await left()
    const other = await left()
    const ran = await exec([...migrate, '--task', other.task_id, '--approval', approval.id])
    expect(ran.exitCode).toBe(125)
    expect(ran.stderr).toContain(`not of ${other.task_id}`)
    expect((await exec([...migrate, '--approval', approval.id])).exitCode).toBe(2)
  })
})

describe('exec --wait on a terminal', () => {
  test('shows group, votes, time left and URL on one line, and goes on by itself', async () => {
    wire.approvers.set('database.migrate', { group: 'dba', needed: 2 })
    const running = exec([...migrate, '--wait'], { terminal: terminal() })
    const id = await untilAsked()
    await answer(id, 'approve')
    while (!drawn.includes('1/2 votes')) await sleep(20)
    await answer(id, 'approve')
    const ran = await running
    expect(ran).toMatchObject({ exitCode: 0, stdout: '' })
    const lines = drawn.split('\r\u001b[2K')
    expect(lines[1]).toMatch(
      new RegExp(`^waiting for 2 of dba: 0/2 votes, \\d+:\\d\\d:\\d\\d left {2}https://hallpass.test/approvals/${id}$`),
    )
    expect(lines.at(-1)).toBe('')
    expect(ran.stderr).toContain(`https://hallpass.test/approvals/${id}`)
    expect(runs()).toHaveLength(1)
    expect(taskState()).toEqual([{ state: 'ended', outcome: 'succeeded' }])
  })

  test('no line is as wide as the terminal: it could not be drawn over', async () => {
    const running = exec([...migrate, '--wait'], { terminal: terminal(40) })
    await answer(await untilAsked(), 'approve')
    await running
    expect(Math.max(...drawn.split('\r\u001b[2K').map((line) => line.length))).toBe(39)
  })

  test('a denial ends it with 125 and a clear line', async () => {
    const running = exec([...migrate, '--wait'], { terminal: terminal() })
    await answer(await untilAsked(), 'deny')
    const ran = await running
    expect(ran).toMatchObject({ exitCode: 125, stdout: '' })
    expect(ran.stderr).toMatch(
      /hallpass exec: appr_\w+ \(database.migrate on database:orders\) was denied by .*: because\n/,
    )
    expect(taskState()).toEqual([{ state: 'ended', outcome: 'failed' }])
    expect(runs()).toEqual([])
  })

  test('time that is up says how many voted', async () => {
    const running = exec([...migrate, '--wait'], { terminal: terminal() })
    const id = await untilAsked()
    const asked = wire.approvals.get(id)
    if (asked) wire.approvals.set(id, { ...asked, state: 'expired', end_reason: 'time' })
    const ran = await running
    expect(ran.exitCode).toBe(125)
    expect(ran.stderr).toContain('0 of 1 votes of dba came in time')
  })

  test('^C ends the wait and the task', async () => {
    const signals = new EventEmitter()
    const running = exec([...migrate, '--wait'], { terminal: terminal(), signals })
    await untilAsked()
    while (drawn === '') await sleep(10)
    signals.emit('SIGINT')
    expect((await running).exitCode).toBe(130)
    expect(taskState()).toEqual([{ state: 'ended', outcome: 'cancelled' }])
    expect(runs()).toEqual([])
    expect(signals.eventNames()).toEqual([])
  })

  test('an outage while waiting is waited through', async () => {
    wire.faults.push(
      { method: 'GET', path: '/v1/approvals/', answer: 'drop' },
      { method: 'GET', path: '/v1/approvals/', answer: { status: 503, body: 'gateway' } },
    )
    const running = exec([...migrate, '--wait'], { terminal: terminal() })
    await answer(await untilAsked(), 'approve')
    expect((await running).exitCode).toBe(0)
  }, 20_000)
})
