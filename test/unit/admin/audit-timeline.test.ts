// A whole story over two brokers, read back three ways: from the ledger's copy, and from the gathered folders of both once
// Redis has forgotten everything.
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { showAudit } from '../../../src/admin/audit-show.js'
import { showTimelineOfFiles } from '../../../src/admin/audit-timeline.js'
import { timelineText } from '../../../src/admin/timeline-text.js'
import type { AuditEntry } from '../../../src/api/audit.js'
import type { RevocationRequest } from '../../../src/api/revocations.js'
import { exchange } from '../../../src/broker/exchange.js'
import { forceRevoke } from '../../../src/broker/force-revoke.js'
import type { Caller } from '../../../src/broker/parts.js'
import { readTimeline } from '../../../src/broker/read-timeline.js'
import { removeLock } from '../../../src/broker/remove-lock.js'
import { reportEvents } from '../../../src/broker/report-events.js'
import { setLock } from '../../../src/broker/set-lock.js'
import { createId } from '../../../src/core/ids.js'
import type { Task } from '../../../src/ledger/task.js'
import { startTestBroker, type TestBroker } from '../../support/broker.js'
import { aChildOf, openTask } from '../../support/ledger.js'
import { asking, codeOf, type Story, startStory } from '../../support/story.js'
import { until } from '../../support/wire-checks.js'

let story: Story
let second: TestBroker
let gathered: string
let task: Task
let child: Task
let caller: Caller
let lease: string
let copied: AuditEntry[]

beforeAll(async () => {
  story = await startStory()
  second = await startTestBroker({ redis: story.redis, far: story.farUrl, instance: 'two' })
  gathered = await mkdtemp(join(tmpdir(), 'hallpass-gathered-'))
  await live()
  // Each broker copies its records behind its own chain: that the last of one is there says nothing of the other's.
  await until(
    async () => {
      await Promise.all([gather(story.broker, 'a'), gather(second, 'b')])
      copied = (await readTimeline(story.parts, task, () => true)).records
      return { copied: named(copied), written: named((await fromFiles(...both())).records) }
    },
    (seen) => seen.written.length > 0 && seen.written.join() === seen.copied.join(),
    30,
  )
  await forgetRedis()
}, 120_000)
afterAll(async () => {
  await second?.close()
  await story?.close()
  await rm(gathered, { recursive: true, force: true })
})

const gather = ({ auditFolder }: TestBroker, name: string) =>
  cp(auditFolder, join(gathered, name), { recursive: true, filter: isNoSocket })
const named = (list: readonly AuditEntry[]) => list.map(({ event, instance, seq }) => `${event} ${instance} ${seq}`)
const isNoSocket = (path: string) => !path.endsWith('lock') && !path.includes('.sock')

/** Opened at one broker, bought at the other, denied, told of, locked, revoked and completed. */
async function live(): Promise<void> {
  caller = story.caller('ana')
  task = await story.task(caller)
  const bought = await exchange(second.parts, caller, task.id, asking(), null)
  lease = bought.lease.id
  expect(await codeOf(story.buy(caller, task, { action: 'account.delete' }))).toBe('denied')
  const call = { type: 'tool_call', tool: 'git', outcome: 'ok', detail: 'password=hunter2 pushed' } as const
  await reportEvents(second.parts, { actor: caller.principal.id, requestId: 'req_1' }, task, [call])
  await belowIt()
  const target = { account: caller.principal.account }
  await forceRevoke(story.parts, story.operator(), { target, reason: 'seen on a laptop' } as RevocationRequest)
  await story.finish(lease)
  const { lock, carriedOut } = await setLock(second.parts, story.operator(), {
    target,
    reason: 'until we know',
  } as never)
  await carriedOut
  await removeLock(second.parts, story.operator(), lock)
  // Of somebody else, at the same time.
  await story.bought()
  await forceRevoke(story.parts, story.operator(), {
    target: { account: 'ci:nobody' },
    reason: 'another',
  } as RevocationRequest)
  await story.endTask(task)
}

/** A task below it, with what other branches of the story write. */
async function belowIt(): Promise<void> {
  child = await openTask(story.at.ledger, aChildOf(task))
  const { id, principal, account, parent, depth, chain } = child
  const whose = { principal, account, task: id }
  await second.parts.audit.append({
    event: 'task.opened',
    ...whose,
    parent,
    depth,
    chain: [...chain],
    purpose: 'tests',
    expires_at: '2031-01-01T00:00:00.000Z',
  })
  await second.parts.audit.append({
    event: 'approval.answered' as never,
    ...whose,
    approval: createId('task', 1),
    vote: 'approve',
    actor: 'staff:olga',
    reason: 'go on',
    state: 'approved',
  })
  await second.parts.audit.append({
    event: 'something.new' as never,
    ...whose,
    colour: 'green\u202e',
    nested: { a: 1 },
  })
  await second.parts.audit.append({ event: 'task.ended', ...whose, outcome: 'succeeded', actor: principal })
}

async function forgetRedis(): Promise<void> {
  const admin = new Redis(story.redis.lookAt ?? String(story.redis.url))
  const keys = await admin.keys(`{${story.redis.prefix}}:*`)
  await admin.del(...keys)
  admin.disconnect()
}

function capture() {
  const said = { value: undefined as unknown, text: '', notes: [] as string[] }
  const output = {
    print: (value: unknown, text: string) => Object.assign(said, { value, text }),
    note: (line: string) => void said.notes.push(line),
  }
  return { said, output }
}

async function fromFiles(...folders: string[]) {
  const { said, output } = capture()
  const code = await showTimelineOfFiles(task.id, folders, output)
  const { records, complete } = (said.value ?? {}) as { records: AuditEntry[]; complete: boolean }
  return { code, records, complete, ...said }
}

const both = () => [join(gathered, 'a'), join(gathered, 'b')]

describe('the timeline of a task', () => {
  test('is one story over both brokers, with Redis gone', async () => {
    const { code, records, complete, text } = await fromFiles(...both())
    expect({ code, complete }).toEqual({ code: 0, complete: true })
    const events = records.map(({ event }) => event)
    expect(events[0]).toBe('task.opened')
    expect(new Set(records.map(({ instance }) => instance))).toEqual(new Set(['one-dev', 'two-dev']))
    for (const event of [
      'lease.reserved',
      'lease.issued',
      'decision.denied',
      'tool.called',
      'revocation.ordered',
      'lease.ending',
      'lease.ended',
      'lock.set',
      'lock.removed',
      'task.ended',
    ]) {
      expect(events).toContain(event)
    }
    expect(records.every(({ account }) => account !== 'ci:nobody')).toBe(true)
    expect(JSON.stringify(records)).not.toContain('another')
    expect([...records].map(({ time }) => time)).toEqual(records.map(({ time }) => time).sort())
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
    expect(text).toContain(`PERMITTED repo.read on repo:acme/web, ${lease} reserved`)
    expect(text.replace(/\s+/g, ' ')).toContain(
      'DENIED account.delete on repo:acme/web (forbidden); policies: no-escalation-to-admin',
    )
    expect(text).toContain('claimed: git → ok: password=[redacted:value] pushed')
    expect(text.replace(/\s+/g, ' ')).toContain('revoke account ci:ana by staff:olga "seen on a laptop"')
    expect(text.replace(/\s+/g, ' ')).toContain(
      `DEAD ${lease}: revoked (revoked by staff:olga); receipt confirmed, evidence`,
    )
    expect(text.replace(/\s+/g, ' ')).toContain('LOCKED account ci:ana by staff:olga "until we know"')
  })

  test('indents what lies below, and tells what it does not know by its members', async () => {
    const { text } = await fromFiles(...both())
    const line = (part: string) => text.split('\n').find((one) => one.includes(part)) ?? ''
    const indentOf = (part: string) => line(part).slice(14).search(/\S/)
    expect(indentOf(`OPENED ${task.id}`)).toBe(0)
    expect(indentOf('PERMITTED')).toBe(2)
    expect(indentOf(`OPENED ${child.id}`)).toBe(2)
    expect(indentOf('approval ')).toBe(4)
    expect(line('something.new')).toContain('colour=green? nested={"a":1}')
    expect(text).toMatch(/approve by staff:olga "go on", now\s+approved/)
  })

  test('is the same in the ledger’s copy, as long as it lasted', async () => {
    const { records } = await fromFiles(...both())
    expect(copied.filter(({ event }) => event === 'task.ended').length).toBeGreaterThanOrEqual(3)
    expect(named(copied)).toEqual(named(records))
    expect(timelineText(task.id, copied)).toBe(timelineText(task.id, records))
    expect(JSON.stringify(copied)).not.toMatch(/sealed_handle|fingerprint|token_sha256|hunter2/)
  })

  test('says what is missing: one host’s folder alone, a task that nobody knows, a folder without an audit', async () => {
    const half = await fromFiles(join(gathered, 'b'))
    expect(half).toMatchObject({
      code: 0,
      complete: false,
      notes: [expect.stringContaining('gather those of all hosts')],
    })
    const { said, output } = capture()
    const unknown = createId('task', 1)
    expect(await showTimelineOfFiles(unknown, both(), output)).toBe(1)
    expect(await showTimelineOfFiles(unknown, [tmpdir()], output)).toBe(1)
    expect(said.notes).toEqual([
      expect.stringContaining(`no record of ${unknown}`),
      expect.stringContaining('cannot be read'),
    ])
  })
})

describe('audit show', () => {
  const show = async (filter: object, limit = 1000) => {
    const { said, output } = capture()
    const code = await showAudit({ directories: both(), filter, limit }, output)
    return { code, ...(said.value as { records: AuditEntry[]; matched: number }), text: said.text, notes: said.notes }
  }

  test('filters by each, and keeps the newest', async () => {
    expect((await show({ task: task.id, type: 'decision.denied' })).records).toMatchObject([
      { event: 'decision.denied', code: 'denied' },
    ])
    const leases = await show({ task: task.id, type: 'lease' })
    expect(leases.records.map(({ event }) => event)).toEqual([
      'lease.reserved',
      'lease.issued',
      'lease.ending',
      'lease.ended',
    ])
    expect((await show({ account: 'ci:ana', type: 'task.opened' })).matched).toBe(2)
    expect((await show({ principal: 'staff:olga', type: 'lock' })).matched).toBe(2)
    const last = await show({ task: task.id }, 2)
    expect(last.records).toHaveLength(2)
    expect(last.records.at(-1)?.event).toBe('task.ended')
    expect(last.notes).toEqual([expect.stringContaining(`newest 2 of ${last.matched}`)])
    const at = leases.records[1]?.time ?? ''
    expect((await show({ task: task.id, from: at, type: 'lease.reserved' })).matched).toBe(0)
    expect((await show({ task: task.id, to: at, type: 'lease.ended' })).matched).toBe(0)
    expect(leases.text.split('\n')).toHaveLength(4)
  })
})
