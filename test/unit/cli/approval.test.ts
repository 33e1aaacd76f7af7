// approve, deny, approvals, and `request` where people have to agree first.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { credentials } from '../../support/answers.js'
import { runHallpass } from '../../support/command-line.js'
import { startWireServer, type WireServer } from '../../support/wire-server.js'
import { operatorToken, workloadToken } from '../../support/wire-state.js'

let wire: WireServer
beforeEach(async () => {
  wire = await startWireServer()
  wire.offers.set('database.migrate', { credential: credentials.jwt })
  wire.approvers.set('database.migrate', { group: 'dba', needed: 2 })
})
afterEach(() => wire.close())

const as = (token: string, argv: string[]) =>
  runHallpass(argv, { environment: { HALLPASS_URL: wire.url, HALLPASS_TOKEN: token } })
const asWorkload = (...argv: string[]) => as(workloadToken, argv)
const asOperator = (...argv: string[]) => as(operatorToken, argv)
const migrate = ['--action', 'database.migrate', '--resource', 'database:orders']
const request = (...argv: string[]) => asWorkload('request', ...migrate, ...argv)

async function wanting() {
  const ran = await request('--output', 'json')
  const { approval, task_id, task_token } = JSON.parse(ran.stdout) as {
    approval: { id: string }
    task_id: string
    task_token: string
  }
  return { ran, id: approval.id, taskId: task_id, taskToken: task_token }
}
const untilAsked = async () => {
  while (wire.approvals.size === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  return [...wire.approvals.keys()][0] ?? ''
}

describe('request', () => {
  test('prints the approval and exits 5; the task stays open', async () => {
    const { ran, id, taskId, taskToken } = await wanting()
    expect(ran.exitCode).toBe(5)
    const url = `https://hallpass.test/approvals/${id}`
    expect(JSON.parse(ran.stdout)).toMatchObject({ url, approval: { group: 'dba', needed: 2, state: 'pending' } })
    expect(taskToken).toBe(`token-of.${taskId}`)
    expect(ran.stderr).toContain(`hallpass request --task ${taskId} --approval ${id}`)
    expect(wire.tasks.get(taskId)?.state).toBe('open')
  })

  test('says the same as lines for a person', async () => {
    const ran = await request()
    const [id = ''] = wire.approvals.keys()
    expect(ran.exitCode).toBe(5)
    expect(ran.stdout).toMatch(new RegExp(`^approval +${id}\\n[\\s\\S]*needed +2 of dba\\n[\\s\\S]*expires +2031-`))
  })

  test.each(['env', 'aws', 'git'])(
    'leaves stdout empty under --format %s: somebody reads a credential there',
    async (format) => {
      const ran = await request('--format', format)
      expect(ran).toMatchObject({ exitCode: 5, stdout: '' })
      expect(ran.stderr).toContain('needs 2 of dba until')
    },
  )

  test('--approval repeats the request in its task; a second time it is refused', async () => {
    const { id, taskId } = await wanting()
    expect((await request('--task', taskId, '--approval', id)).exitCode).toBe(5)
    await asOperator('approve', id, '--reason', 'fine')
    await asOperator('approve', id, '--reason', 'fine too')
    const ran = await request('--task', taskId, '--approval', id)
    expect(ran.exitCode).toBe(0)
    expect(JSON.parse(ran.stdout)).toMatchObject({ credential: credentials.jwt, lease: { task_id: taskId } })
    expect(wire.seen.at(-1)?.body).toMatchObject({ approval_id: id })
    expect((await request('--task', taskId, '--approval', id)).exitCode).toBe(1)
    expect(wire.leases.size).toBe(1)
  })

  test('--approval without its task is a usage error', async () => {
    expect((await request('--approval', 'appr_01hzy3v5q8k2m4n6p8r0s2t4v6')).exitCode).toBe(2)
    expect(wire.seen).toHaveLength(0)
  })

  test('--wait waits and goes on by itself', async () => {
    const running = request('--wait=1m')
    const id = await untilAsked()
    await asOperator('approve', id, '--reason', 'one')
    await asOperator('approve', id, '--reason', 'two')
    const ran = await running
    expect(ran.exitCode).toBe(0)
    expect(JSON.parse(ran.stdout)).toMatchObject({ credential: credentials.jwt })
    expect(ran.stderr).toContain(`https://hallpass.test/approvals/${id}`)
  })

  test('--wait that is over leaves the task open and exits 5', async () => {
    const ran = await request('--wait=1s', '--output', 'json')
    expect(ran.exitCode).toBe(5)
    expect(JSON.parse(ran.stdout)).toMatchObject({ approval: { state: 'pending' } })
    expect([...wire.tasks.values()][0]?.state).toBe('open')
  })

  test('--wait that is denied exits 4, says by whom and why, and ends the task', async () => {
    const running = request('--wait')
    await asOperator('deny', await untilAsked(), '--reason', 'not now')
    const ran = await running
    expect(ran).toMatchObject({ exitCode: 4, stdout: '' })
    expect(ran.stderr).toContain('was denied by staff:operator-1@acme.example: not now')
    expect([...wire.tasks.values()][0]?.state).toBe('ended')
  })
})

describe('approve, deny and approvals', () => {
  test('a vote says what is still wanting, then that it is approved', async () => {
    const { id } = await wanting()
    const first = await asOperator('approve', id, '--reason', 'ticket 4711')
    expect(first.stdout).toBe(
      `${id}: database.migrate on database:orders still needs others: 1/2 votes, 2 of dba until 2031-05-06T07:08:09.500Z\n`,
    )
    expect((await asOperator('approve', id, '--reason', 'ok')).stdout).toContain(
      'is approved; whoever asked may use it once',
    )
    expect(wire.seen.at(-1)?.body).toEqual({ reason: 'ok' })
  })

  test('one denial is enough, and its answer can be read by a program', async () => {
    const { id } = await wanting()
    const ran = await asOperator('deny', id, '--reason', 'no', '--output', 'json')
    expect(JSON.parse(ran.stdout)).toMatchObject({ id, state: 'denied' })
  })

  test.each(['approve', 'deny'])('%s needs a reason', async (command) => {
    const ran = await asOperator(command, 'appr_01hzy3v5q8k2m4n6p8r0s2t4v6')
    expect(ran.exitCode).toBe(2)
    expect(wire.seen).toHaveLength(0)
  })

  test('a workload may not answer', async () => {
    const { id } = await wanting()
    expect((await asWorkload('approve', id, '--reason', 'me')).exitCode).toBe(3)
    expect(wire.approvals.get(id)?.votes).toEqual([])
  })

  test('the list is a table of what is asked, by whom, with votes and time left', async () => {
    const { id } = await wanting()
    await asOperator('approve', id, '--reason', 'one')
    const ran = await asOperator('approvals', '--state', 'pending')
    expect(ran.stdout).toMatch(/^APPROVAL +STATE +ACTION +RESOURCE +FOR +BY +NEEDS +VOTES +LEFT +FLAGS\n/)
    expect(ran.stdout).toMatch(
      new RegExp(`${id} +pending +database.migrate +database:orders +300s +ci:agent +2 of dba +1/2 +\\d`),
    )
    expect((await asOperator('approvals', '--state', 'used')).stdout).toBe('no approvals\n')
    expect((await asOperator('approvals', '--state', 'bogus')).exitCode).toBe(2)
  })

  test.each([[['show']], [[]]])(
    '%j ID shows everything that is bound, and what nobody has checked as such',
    async (words) => {
      const { id } = await wanting()
      const ran = await asOperator('approvals', ...words, id)
      expect(ran.stdout).toMatch(/recipe_sha256 +a{64}/)
      expect(ran.stdout).toMatch(/resource\.host +db1/)
      expect(ran.stdout).toMatch(/purpose \(unverified\) +why not/)
      expect(JSON.parse((await asOperator('approvals', id, '--output', 'json')).stdout)).toMatchObject({ id })
    },
  )

  test('what a purpose or a vote holds does not steer the terminal', async () => {
    const { id } = await wanting()
    const asked = wire.approvals.get(id)
    if (asked) wire.approvals.set(id, { ...asked, purpose_unverified: 'x\u001b[2J\u202eevil' })
    const ran = await asOperator('approvals', id)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what must not be there
    expect(ran.stdout).not.toMatch(/\u001b|\u202e/)
  })
})
