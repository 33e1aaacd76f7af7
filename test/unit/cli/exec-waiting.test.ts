// exec --wait on a terminal: what is shown meanwhile, and every way in which the wait ends.
import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type ExecStage, migrate, startExecStage } from '../../support/exec-stage.js'

let at: ExecStage
beforeEach(async () => {
  at = await startExecStage()
})
afterEach(() => at.close())

describe('exec --wait on a terminal', () => {
  test('shows group, votes, time left and URL on one line, and goes on by itself', async () => {
    at.wire.approvers.set('database.migrate', { group: 'dba', needed: 2 })
    const running = at.exec([...migrate, '--wait'], { terminal: at.terminal() })
    const id = await at.untilAsked()
    await at.answer(id, 'approve')
    while (!at.drawn.includes('1/2 votes')) await sleep(20)
    await at.answer(id, 'approve')
    const ran = await running
    expect(ran).toMatchObject({ exitCode: 0, stdout: '' })
    const lines = at.drawn.split('\r\u001b[2K')
    expect(lines[1]).toMatch(
      new RegExp(`^waiting for 2 of dba: 0/2 votes, \\d+:\\d\\d:\\d\\d left {2}https://hallpass.test/approvals/${id}$`),
    )
    expect(lines.at(-1)).toBe('')
    expect(ran.stderr).toContain(`https://hallpass.test/approvals/${id}`)
    expect(at.runs()).toHaveLength(1)
    expect(at.taskState()).toEqual([{ state: 'ended', outcome: 'succeeded' }])
  })

  test('no line is as wide as the terminal: it could not be at.drawn over', async () => {
    const running = at.exec([...migrate, '--wait'], { terminal: at.terminal(40) })
    await at.answer(await at.untilAsked(), 'approve')
    await running
    expect(Math.max(...at.drawn.split('\r\u001b[2K').map((line) => line.length))).toBe(39)
  })

  test('a denial ends it with 125 and a clear line', async () => {
    const running = at.exec([...migrate, '--wait'], { terminal: at.terminal() })
    await at.answer(await at.untilAsked(), 'deny')
    const ran = await running
    expect(ran).toMatchObject({ exitCode: 125, stdout: '' })
    expect(ran.stderr).toMatch(
      /hallpass exec: appr_\w+ \(database.migrate on database:orders\) was denied by .*: because\n/,
    )
    expect(at.taskState()).toEqual([{ state: 'ended', outcome: 'failed' }])
    expect(at.runs()).toEqual([])
  })

  test('time that is up says how many voted', async () => {
    const running = at.exec([...migrate, '--wait'], { terminal: at.terminal() })
    const id = await at.untilAsked()
    const asked = at.wire.approvals.get(id)
    if (asked) at.wire.approvals.set(id, { ...asked, state: 'expired', end_reason: 'time' })
    const ran = await running
    expect(ran.exitCode).toBe(125)
    expect(ran.stderr).toContain('0 of 1 votes of dba came in time')
  })

  test('^C ends the wait and the task', async () => {
    const signals = new EventEmitter()
    const running = at.exec([...migrate, '--wait'], { terminal: at.terminal(), signals })
    await at.untilAsked()
    while (at.drawn === '') await sleep(10)
    signals.emit('SIGINT')
    expect((await running).exitCode).toBe(130)
    expect(at.taskState()).toEqual([{ state: 'ended', outcome: 'cancelled' }])
    expect(at.runs()).toEqual([])
    expect(signals.eventNames()).toEqual([])
  })

  test('an outage while waiting is waited through', async () => {
    at.wire.faults.push(
      { method: 'GET', path: '/v1/approvals/', answer: 'drop' },
      { method: 'GET', path: '/v1/approvals/', answer: { status: 503, body: 'gateway' } },
    )
    const running = at.exec([...migrate, '--wait'], { terminal: at.terminal() })
    await at.answer(await at.untilAsked(), 'approve')
    expect((await running).exitCode).toBe(0)
  }, 20_000)
})
