// exec where people have to agree first, without a terminal: left open, and gone on with later.
import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { credentials } from '../../support/answers.js'
import { type ExecStage, migrate, startExecStage } from '../../support/exec-stage.js'

let at: ExecStage
beforeEach(async () => {
  at = await startExecStage()
})
afterEach(() => at.close())

/** ^C a moment after the approval was looked at. */
const endingSoon = () => {
  const signals = new EventEmitter()
  const before = at.wire.seen.length
  const timer = setInterval(() => {
    if (!at.wire.seen.slice(before).some(({ path }) => path.startsWith('/v1/approvals/'))) return
    clearInterval(timer)
    signals.emit('SIGINT')
  }, 10)
  return signals
}
describe('exec without a terminal', () => {
  test.each([[[]], [['--wait']]])('%j leaves the task open, prints JSON on stdout and exits 125', async (options) => {
    const ran = await at.exec([...migrate, ...options])
    const [id = ''] = at.wire.approvals.keys()
    const [taskId = ''] = at.wire.tasks.keys()
    expect(ran.exitCode).toBe(125)
    expect(JSON.parse(ran.stdout)).toMatchObject({
      approval: { id, state: 'pending', group: 'dba', needed: 1 },
      task_id: taskId,
      task_token: `token-of.${taskId}`,
      url: `https://hallpass.test/approvals/${id}`,
    })
    expect(ran.stderr).toContain(`go on with: hallpass exec --task ${taskId} --approval ${id} … -- CMD`)
    expect(at.taskState()).toEqual([{ state: 'open', outcome: null }])
    expect(at.runs()).toEqual([])
  })

  test('--task T --approval A goes on in that task, runs the command once and completes it', async () => {
    const { approval, task_id } = await at.left()
    await at.answer(approval.id, 'approve')
    const ran = await at.exec([...migrate, '--task', task_id, '--approval', approval.id])
    expect(ran).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(at.runs()).toHaveLength(1)
    expect(at.runs()[0]).toMatchObject({ HALLPASS_CREDENTIAL: 'minted.jwt.token', HALLPASS_TASK: task_id })
    expect(at.taskState()).toEqual([{ state: 'ended', outcome: 'succeeded' }])
    const again = await at.exec([...migrate, '--task', task_id, '--approval', approval.id])
    expect(again.exitCode).toBe(125)
    expect(again.stderr).toContain('was used already')
    expect(at.runs()).toHaveLength(1)
  })

  test('gone on with too early it is left open once more', async () => {
    const { approval, task_id } = await at.left()
    const ran = await at.exec([...migrate, '--task', task_id, '--approval', approval.id])
    expect(ran.exitCode).toBe(125)
    expect(JSON.parse(ran.stdout)).toMatchObject({ task_id, approval: { id: approval.id } })
    expect(at.taskState()).toEqual([{ state: 'open', outcome: null }])
  })

  test('gone on with after a denial it says so and ends the task', async () => {
    const { approval, task_id } = await at.left()
    await at.answer(approval.id, 'deny')
    const ran = await at.exec([...migrate, '--task', task_id, '--approval', approval.id])
    expect(ran).toMatchObject({ exitCode: 125, stdout: '' })
    expect(ran.stderr).toContain('was denied by staff:operator-1@acme.example: because')
    expect(at.taskState()).toEqual([{ state: 'ended', outcome: 'cancelled' }])
  })

  test('inside the task, it is left to whoever opened it', async () => {
    const { approval, task_id } = await at.left()
    await at.answer(approval.id, 'approve')
    const environment = { HALLPASS_TASK: task_id, HALLPASS_TASK_TOKEN: `token-of.${task_id}` }
    const ran = await at.exec([...migrate, '--task', task_id, '--approval', approval.id], { environment })
    expect(ran.exitCode).toBe(0)
    expect([...at.wire.leases.values()].map(({ state }) => state)).toEqual(['revoked'])
    expect(at.taskState()).toEqual([{ state: 'open', outcome: null }])
  })

  test('each approval goes to its own request, whatever their order', async () => {
    at.wire.offers.set('deploy.run', { credential: credentials.jwt })
    at.wire.approvers.set('deploy.run', { group: 'release', needed: 1 })
    const three = [
      ...migrate,
      '--credential',
      'x:deploy.run=repo:a/b',
      '--credential',
      'q:database.query=database:orders',
    ]
    const { approvals, task_id } = await at.left(three)
    expect(approvals).toHaveLength(2)
    for (const { id } of approvals) await at.answer(id, 'approve')
    const given = [...approvals].reverse().flatMap(({ id }) => ['--approval', id])
    expect((await at.exec([...three, '--task', task_id, ...given])).exitCode).toBe(0)
    const asked = at.wire.seen.filter(({ path }) => path.endsWith('/credentials')).map(({ body }) => body)
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
    const { approvals, task_id } = await at.left(two)
    for (const { id } of approvals) await at.answer(id, 'approve')
    const given = [...approvals].reverse().flatMap(({ id }) => ['--approval', id])
    expect(await at.exec([...two, '--task', task_id, ...given])).toMatchObject({ exitCode: 0 })
    const asked = at.wire.seen.filter(({ path }) => path.endsWith('/credentials')).map(({ body }) => body)
    expect(asked).toMatchObject([
      { context: { change_type: 'schema' }, approval_id: approvals[0]?.id },
      { context: { change_type: 'data' }, approval_id: approvals[1]?.id },
    ])
  })

  test('an approval of something else is no reason to run: the task is left as it is', async () => {
    const { approval, task_id } = await at.left()
    await at.answer(approval.id, 'approve')
    const ran = await at.exec([
      '--credential',
      'database.query=database:orders',
      '--task',
      task_id,
      '--approval',
      approval.id,
    ])
    expect(ran.exitCode).toBe(125)
    expect(ran.stderr).toContain('database.migrate on database:orders, which is not asked for here')
    expect(at.runs()).toEqual([])
    expect(at.taskState()).toEqual([{ state: 'open', outcome: null }])
    expect((await at.exec([...migrate, '--task', task_id, '--approval', approval.id])).exitCode).toBe(0)
  })

  test('in a task of somebody else what was minted before is given back', async () => {
    const { task_id } = await at.left()
    const ran = await at.exec(['--task', task_id, '--credential', 'database.query=database:orders', ...migrate])
    expect(ran.exitCode).toBe(125)
    expect([...at.wire.leases.values()].map(({ state }) => state)).toEqual(['revoked'])
    expect(at.taskState()).toEqual([{ state: 'open', outcome: null }])
  })

  test("is looked at by the task's own token, which some issuers' workloads have to show", async () => {
    const { approval, task_id } = await at.left()
    await at.answer(approval.id, 'approve')
    const environment = { HALLPASS_TASK: task_id, HALLPASS_TASK_TOKEN: `token-of.${task_id}` }
    expect((await at.exec([...migrate, '--task', task_id, '--approval', approval.id], { environment })).exitCode).toBe(
      0,
    )
    const waited = await at.exec([...migrate, '--wait'], { terminal: at.terminal(), signals: endingSoon() })
    expect(waited.exitCode).toBe(130)
    const looks = at.wire.seen.filter(({ method, path }) => method === 'GET' && path.startsWith('/v1/approvals/'))
    expect(looks.length).toBeGreaterThan(1)
    for (const { headers } of looks) expect(headers.authorization).toMatch(/^Bearer token-of\.task_/)
  })

  test("another task's approval, and one without a task, are refused", async () => {
    const { approval } = await at.left()
    const other = await at.left()
    const ran = await at.exec([...migrate, '--task', other.task_id, '--approval', approval.id])
    expect(ran.exitCode).toBe(125)
    expect(ran.stderr).toContain(`not of ${other.task_id}`)
    expect((await at.exec([...migrate, '--approval', approval.id])).exitCode).toBe(2)
  })
})
