// A provider that does not answer: its own grants are refused at once and nothing else is harmed; revocations wait without
// counting attempts; one probe finds out when it is back.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { exchange } from '../../../src/broker/exchange.js'
import { openTask } from '../../../src/broker/open-task.js'
import type { Parts } from '../../../src/broker/parts.js'
import { type Clock, systemClock } from '../../../src/core/clock.js'
import { BrokerError } from '../../../src/core/errors.js'
import { isEnded } from '../../../src/ledger/lease.js'
import { asking, codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

let skew = 0
const clock: Clock = { now: systemClock.now, monotonic: () => systemClock.monotonic() + skew }

let story: Story
beforeAll(async () => {
  story = await startStory({
    clock,
    provider: { timeoutSeconds: 20 },
    breakers: { failures: 3, firstMs: 20_000, longestMs: 20_000 },
  })
})
afterAll(async () => {
  await story.close()
})
beforeEach(async () => {
  story.far.calm()
  // Past every back-off: one answered call closes whatever the last test left open.
  skew += 30_000
  const { lease, task } = await story.bought()
  await story.endTask(task)
  await story.finish(lease.id)
  story.far.calm()
})

/** Waits for what was sent and given up: it arrives all the same, and must not be taken for a later call. */
async function untilCreates(count: number) {
  while (story.far.count('create') < count) await new Promise((resolve) => setTimeout(resolve, 20))
}

async function openIssueBreaker() {
  story.far.mood.create = 'hangs'
  const { far } = story.broker
  // Short for these alone: a mint that is not to fail has long, however busy the machine is.
  far.timeoutSeconds = 0.5
  const codes = await Promise.all([1, 2, 3].map(() => codeOf(story.bought())))
  far.timeoutSeconds = 20
  await untilCreates(3)
  expect(codes).toEqual(Array(3).fill('provider_unavailable'))
  expect(story.parts.breakers.issue('far').state).toBe('open')
}

describe('minting', () => {
  test('503 with Retry-After at once, with nothing reserved and nothing asked; other providers go on', async () => {
    await openIssueBreaker()
    const asked = story.far.seen.length
    const caller = story.caller()
    const task = await story.task(caller)
    const started = performance.now()
    const error = await refusalOf(story.buy(caller, task))
    // Whoever asked would wait for its 20 s.
    expect(performance.now() - started).toBeLessThan(15_000)
    expect(error.code).toBe('provider_unavailable')
    expect(error.retryAfterSeconds).toBeGreaterThan(10)
    expect(error.retryAfterSeconds).toBeLessThanOrEqual(20)
    expect(await story.parts.ledger.leasesOfTask(task.id)).toEqual([])
    expect(story.far.seen).toHaveLength(asked)
    expect((await story.buy(caller, task, { action: 'token.read' })).lease.state).toBe('active')
    expect(story.parts.breakers.troubles().far).toMatch(/issue: does not answer \(3 times in a row\), open/)
  })

  test('the order of checks is kept: what is denied or unknown is said first', async () => {
    await openIssueBreaker()
    const caller = story.caller()
    const task = await story.task(caller)
    expect(await codeOf(story.buy(caller, task, { action: 'no.such' }))).toBe('unknown_action')
    await story.buy(caller, task, { action: 'token.read' })
    await story.endTask(task)
    expect(await codeOf(story.buy(caller, task))).toBe('task_closed')
    const other = await story.task(story.caller())
    expect(await codeOf(story.buy(caller, other))).toBe('not_found')
  })

  test('no task is opened for credentials of a provider that is not asked', async () => {
    await openIssueBreaker()
    const caller = story.caller()
    const request = { purpose: 'a story', credentials: [asking({ action: 'token.read' }), asking()] }
    expect(await codeOf(openTask(story.parts, caller, request, null))).toBe('provider_unavailable')
    expect((await story.records('task.opened')).filter((one) => one.principal === caller.principal.id)).toEqual([])
  })

  test('32 at once after the back-off: one probe goes to the provider, and when it fails no other', async () => {
    await openIssueBreaker()
    const buyers = await Promise.all(
      Array.from({ length: 32 }, async () => {
        const caller = story.caller()
        return { caller, task: await story.task(caller) }
      }),
    )
    skew += 21_000
    const before = story.far.count('create')
    story.broker.far.timeoutSeconds = 0.5
    const codes = await Promise.all(buyers.map(({ caller, task }) => codeOf(story.buy(caller, task))))
    story.broker.far.timeoutSeconds = 20
    await untilCreates(before + 1)
    expect(new Set(codes)).toEqual(new Set(['provider_unavailable']))
    expect(story.far.count('create') - before).toBe(1)
    expect(story.parts.breakers.issue('far').state).toBe('open')
    skew += 21_000
    story.far.calm()
    expect((await story.bought()).lease.state).toBe('active')
    expect(story.parts.breakers.troubles()).toEqual({})
  })

  test('refusals and errors of a provider that answers do not open it', async () => {
    for (const mood of ['fails', 'refuses', 'garbage'] as const) {
      story.far.mood.create = mood
      for (let i = 0; i < 4; i++) expect(await codeOf(story.bought())).toBe('provider_failed')
    }
    expect(story.parts.breakers.issue('far').state).toBe('closed')
  })

  test('a probe that could not even be reserved leaves the next one its turn', async () => {
    await openIssueBreaker()
    skew += 21_000
    story.far.calm()
    story.broker.auditSwitch.isDown = (record) => record.event === 'lease.reserved'
    expect(await codeOf(story.bought())).toBe('audit_unavailable')
    story.broker.auditSwitch.isDown = () => false
    expect((await story.bought()).lease.state).toBe('active')
  })

  /** The same program, in which something happens just before the first reservation. */
  const withFirstReservation = (before: () => Promise<unknown>): Parts => {
    let first = true
    return {
      ...story.parts,
      ledger: {
        ...story.parts.ledger,
        reserve: async (reservation) => {
          if (first) {
            first = false
            await before()
          }
          return await story.parts.ledger.reserve(reservation)
        },
      },
    }
  }

  test('so does one whose ledger did not answer', async () => {
    await openIssueBreaker()
    skew += 21_000
    story.far.calm()
    const caller = story.caller()
    const task = await story.task(caller)
    const parts = withFirstReservation(() => Promise.reject(new BrokerError('ledger_unavailable', 'away')))
    expect(await codeOf(exchange(parts, caller, task.id, asking(), null))).toBe('ledger_unavailable')
    expect((await exchange(parts, caller, task.id, asking(), null)).lease.state).toBe('active')
  })

  test('and one that is to be decided again, since something else was granted meanwhile', async () => {
    await openIssueBreaker()
    skew += 21_000
    story.far.calm()
    const caller = story.caller()
    const task = await story.task(caller)
    const parts = withFirstReservation(() => story.buy(caller, task, { action: 'token.read' }))
    expect((await exchange(parts, caller, task.id, asking(), null)).lease.state).toBe('active')
  })
})

describe('revoking', () => {
  test('an open breaker counts no attempt; what ends elsewhere goes on; all are ended when it answers again', async () => {
    const bought = []
    for (let i = 0; i < 8; i++) bought.push(await story.bought())
    const other = await story.bought({ action: 'token.read' })
    story.far.mood.revoke = 'cut'
    for (const { task } of [...bought, other]) await story.endTask(task)
    const [first, second, third, ...rest] = bought.map(({ lease }) => lease.id)
    for (const id of [first, second, third]) {
      expect(await story.attempt(id ?? '')).toMatchObject({ state: 'revoking', attempts: 1 })
    }
    expect(story.parts.breakers.revoke('far').state).toBe('open')
    expect(story.parts.breakers.issue('far').state).toBe('closed')
    const asked = story.far.seen.length
    for (const id of rest) {
      for (let i = 0; i < 2; i++) expect(await story.attempt(id)).toMatchObject({ state: 'revoking', attempts: 0 })
      const before = await story.parts.ledger.now()
      expect(await story.attempt(id)).toMatchObject({ state: 'revoking', attempts: 0 })
      // Not looked at again before it may be asked.
      const due = Number(await story.at.raw.zscore(`${story.at.tag}due:far`, id))
      expect(due).toBeGreaterThanOrEqual(before + story.parts.breakers.revoke('far').waitMs())
    }
    expect(story.far.seen).toHaveLength(asked)
    expect(await story.finish(other.lease.id)).toMatchObject({ state: 'revoked' })
    skew += 21_000
    story.far.calm()
    for (const id of [first, second, third, ...rest]) expect((await story.finish(id ?? '')).state).toBe('revoked')
    expect(story.far.alive()).not.toContain(first)
  })

  test('past its natural end and grace a lease is expired, with a provider that never comes back', async () => {
    const bought = []
    for (let i = 0; i < 4; i++) bought.push(await story.bought())
    story.far.mood.revoke = 'cut'
    for (const { task } of bought) await story.endTask(task)
    for (const { lease } of bought.slice(0, 3)) await story.attempt(lease.id)
    const last = bought[3]?.lease.id ?? ''
    await story.attempt(last)
    expect(isEnded((await story.lease(last)).state)).toBe(false)
    await story.pass(last, 130_000)
    expect(await story.attempt(last)).toMatchObject({
      state: 'expired',
      receipt: { outcome: 'expires_at', evidence: 'natural_end' },
    })
  })
})
