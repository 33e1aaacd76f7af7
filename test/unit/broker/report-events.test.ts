// What a task's worker says that it did: claimed, capped, clean.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { AuditEntry } from '../../../src/api/audit.js'
import type { ToolCall } from '../../../src/api/events.js'
import type { Caller } from '../../../src/broker/parts.js'
import { readTimeline } from '../../../src/broker/read-timeline.js'
import { reportEvents } from '../../../src/broker/report-events.js'
import type { Task } from '../../../src/ledger/task.js'
import { codeOf, refusalOf, type Story, startStory } from '../../support/story.js'
import { lookIntoLedger, until } from '../../support/wire-checks.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ limits: '{ task: { events: 50 }, account: { requests_per_minute: 100000 } }' })
})
afterAll(() => story?.close())

const aCall = (over: Partial<ToolCall> = {}): ToolCall => ({ type: 'tool_call', tool: 'psql', outcome: 'ok', ...over })
const report = (caller: Caller, task: Task, ...calls: ToolCall[]) =>
  reportEvents(story.parts, { actor: caller.principal.id, requestId: caller.requestId }, task, calls)
const timeline = async (task: Task, enough: (records: AuditEntry[]) => boolean) =>
  await until(
    () => readTimeline(story.parts, task, () => true),
    ({ records }) => enough(records),
  )

/** Everything that Redis holds of this test's ledger, as one text. */
async function allOfRedis(): Promise<string> {
  const view = lookIntoLedger({
    redis: { lookAt: story.redis.lookAt ?? String(story.redis.url), prefix: story.redis.prefix } as never,
  })
  const { redis } = view
  const keys = await view.keysOf('*')
  const read = async (key: string) => {
    switch (await redis.type(key)) {
      case 'hash':
        return await redis.hgetall(key)
      case 'list':
        return await redis.lrange(key, '0', '-1')
      case 'set':
        return await redis.smembers(key)
      case 'zset':
        return await redis.zrange(key, '0', '-1')
      default:
        return await redis.get(key)
    }
  }
  const all = JSON.stringify(await Promise.all(keys.map(async (key) => [key, await read(key)])))
  view.close()
  return all
}

describe('tool calls', () => {
  test('stand in the audit and on the timeline as claimed', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const detail = { rows: 3, statement: 'select 1' }
    const answer = await report(
      caller,
      task,
      aCall({ action: 'repo.read', resource: 'repo:acme/web', detail }),
      aCall({ outcome: 'error', at: '2031-01-01T00:00:00Z' }),
    )
    expect(answer).toEqual({ recorded: 2, remaining: 48, redacted: 0 })
    const [first, second] = (await story.records('tool.called')).filter((record) => record.task === task.id)
    expect(first).toMatchObject({
      claimed: true,
      principal: caller.principal.id,
      tool: 'psql',
      action: 'repo.read',
      outcome: 'ok',
      detail,
    })
    expect(second).toMatchObject({ claimed: true, outcome: 'error', claimed_at: '2031-01-01T00:00:00Z' })
    const { records, complete } = await timeline(task, (seen) => seen.length >= 3)
    expect(records.map(({ event, claimed }) => [event, claimed])).toEqual([
      ['task.opened', undefined],
      ['tool.called', true],
      ['tool.called', true],
    ])
    expect(complete).toBe(true)
  })

  test('hold no secret: neither one of a known kind nor one that was issued', async () => {
    const { caller, task, credential } = await story.bought()
    const secret = String((credential as { token?: string }).token ?? (credential as { secret?: string }).secret)
    expect(secret.length).toBeGreaterThan(8)
    const patterned = ['AKIAABCDEFGHIJKLMNOP', `hvs.${'Ab1'.repeat(20)}`, `ghp_${'a1B2'.repeat(9)}`]
    // So long that no digest or time holds it by chance: four digits stood there in one of a hundred runs.
    const pin = 4_711_471_147_114_711
    const told = [secret, ...patterned, 'plain', String(pin)]
    const said = await report(
      caller,
      task,
      aCall({ detail: `connected with ${secret}, ok` }),
      aCall({
        detail: {
          output: `x="${secret}"`,
          password: 'plain',
          pin_token: pin,
          [`k${'x'.repeat(3)}`]: patterned.join(' '),
        },
      }),
      aCall({ tool: `curl ${secret}` }),
      aCall({ detail: 'nothing of it' }),
    )
    expect(said).toMatchObject({ recorded: 4, redacted: 3 })
    const { records } = await timeline(task, (seen) => seen.filter(({ event }) => event === 'tool.called').length === 4)
    for (const where of [JSON.stringify(await story.broker.records()), await allOfRedis(), JSON.stringify(records)]) {
      for (const one of told) expect(where.includes(one)).toBe(false)
      expect(where).toContain('[redacted:issued]')
    }
  })

  test('are capped per task, all of a call or none, and the first refusal alone is recorded', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    expect((await report(caller, task, ...Array.from({ length: 48 }, () => aCall()))).remaining).toBe(2)
    const refused = await refusalOf(report(caller, task, aCall(), aCall(), aCall()))
    expect(refused).toMatchObject({ code: 'quota', retryAfterSeconds: expect.any(Number) })
    expect(await codeOf(report(caller, task, aCall(), aCall(), aCall()))).toBe('quota')
    expect((await report(caller, task, aCall(), aCall())).remaining).toBe(0)
    const refusals = (await story.records('request.refused')).filter((record) => record.task === task.id)
    expect(refusals).toMatchObject([{ code: 'quota', principal: caller.principal.id }])
    expect((await story.records('tool.called')).filter((record) => record.task === task.id)).toHaveLength(50)
  })

  test('at once never pass the cap', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const ends = await Promise.allSettled(
      Array.from({ length: 30 }, () => report(caller, task, aCall(), aCall(), aCall())),
    )
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(16)
    expect((await story.records('tool.called')).filter((record) => record.task === task.id)).toHaveLength(48)
  })

  test('are refused once the task has ended, and given back when they cannot be written', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    story.broker.auditSwitch.isDown = ({ event }) => event === 'tool.called'
    expect(await codeOf(report(caller, task, aCall(), aCall()))).toBe('audit_unavailable')
    story.broker.auditSwitch.isDown = () => false
    expect((await report(caller, task, aCall())).remaining).toBe(49)
    await story.endTask(task)
    expect(await codeOf(report(caller, task, aCall()))).toBe('task_closed')
  })
})
