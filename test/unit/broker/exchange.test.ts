import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { exchange } from '../../../src/broker/exchange.js'
import { sha256Hex } from '../../../src/core/hash.js'
import { keysUnder } from '../../support/redis.js'
import { asking, codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})

describe('a credential that was bought', () => {
  test('works, is leased until the deadline, and is on record before and after', async () => {
    const { lease, credential, decision, caller, task } = await story.bought({ ttl_seconds: 30 })
    expect(story.far.alive()).toContain(lease.id)
    expect(await story.lease(lease.id)).toEqual(lease)
    expect(lease).toMatchObject({ state: 'active', record: { task: task.id, action: 'repo.read', provider: 'far' } })
    expect(Math.abs(lease.expiresAt - story.parts.clock.now() - 30_000)).toBeLessThan(1000)
    expect(credential).toMatchObject({ type: 'test', expires_at: new Date(lease.expiresAt).toISOString() })
    expect(decision).toMatchObject({ effect: 'permit', policies: ['ci-may'] })
    const records = await story.recordsOf(lease.id)
    expect(records.map((record) => record.event)).toEqual(['lease.reserved', 'lease.issued'])
    expect(records[0]).toMatchObject({
      principal: caller.principal.id,
      account: caller.principal.account,
      task: task.id,
      request_id: caller.requestId,
      token_sha256: caller.principal.tokenSha256,
      record: { mark: { name: lease.id } },
      decision: { id: decision.id, input: { action: 'repo.read', recentDenials: 0 } },
    })
    // The sealed handle in the audit alone is enough to revoke.
    const handle = story.parts.sealing.unseal(String(records[1]?.sealed_handle), lease.id, 'far')
    expect(await story.broker.far.revoke(handle)).toBe('revoked')
    expect(story.far.alive()).not.toContain(lease.id)
  })

  test('leaves its secret and its handle nowhere: not in Redis, not in the audit', async () => {
    const { lease, credential } = await story.bought()
    const secret = String(credential.token)
    const id = secret.replace('secret-of-', '')
    expect(lease.fingerprints).toEqual([sha256Hex(secret)])
    let seen = JSON.stringify(await story.records())
    for (const name of await keysUnder(story.at.raw, story.redis.prefix)) {
      const type = await story.at.raw.type(name)
      if (type === 'hash') seen += JSON.stringify(await story.at.raw.hgetall(name))
      if (type === 'string') seen += await story.at.raw.get(name)
      if (type === 'set') seen += JSON.stringify(await story.at.raw.smembers(name))
      if (type === 'zset') seen += JSON.stringify(await story.at.raw.zrange(name, '0', '-1'))
    }
    expect(seen).toContain(lease.id)
    expect(seen).not.toContain(secret)
    expect(seen).not.toContain(id)
  })

  test('ends with its task, never after it', async () => {
    const caller = story.caller()
    const task = await story.task(caller, 20)
    const { lease } = await story.buy(caller, task, { ttl_seconds: 600 })
    expect(lease.expiresAt).toBeLessThanOrEqual(task.expiresAt)
  })
})

describe('nothing is minted', () => {
  const unminted = async (work: () => Promise<unknown>) => {
    const seen = story.far.seen.length
    const error = await refusalOf(work())
    expect(story.far.seen.length).toBe(seen)
    return error
  }

  test.each([
    ['unknown_action', { action: 'repo.burn' }],
    ['unknown_resource', { resource: 'repo:other/web' }],
    ['unknown_resource', { resource: 'database:orders' }],
    ['invalid_request', { context: { branch: 'x' } }],
    ['invalid_request', { ttl_seconds: 0 }],
  ])('%s for %j', async (code, over) => {
    const caller = story.caller()
    const task = await story.task(caller)
    expect((await unminted(() => story.buy(caller, task, over))).code).toBe(code)
  })

  test("in another's task, another instance's or an unknown one: the same 404, on record", async () => {
    const owner = story.caller(undefined, { instance: 'run-1' })
    const task = await story.task(owner)
    const others = [story.caller(), story.caller(owner.principal.subject, { instance: 'run-2' })]
    const unknown = await unminted(() => story.buy(owner, { ...task, id: `task_${'0'.repeat(26)}` }))
    for (const other of others) {
      const error = await unminted(() => story.buy(other, task))
      expect([error.code, error.detail]).toEqual([unknown.code, unknown.detail])
      const refused = await story.records('request.refused')
      expect(refused.at(-1)).toMatchObject({ principal: other.principal.id, task: task.id, code: 'not_found' })
    }
    expect((await story.parts.ledger.findTask(task.id))?.activeLeases).toBe(0)
  })

  test('in a task that has ended', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    await story.endTask(task)
    expect((await unminted(() => story.buy(caller, task))).code).toBe('task_closed')
  })

  test('against policy: 403 with the decision, on record with its whole input, and counted', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const denied = () => story.buy(caller, task, { action: 'account.delete' })
    const error = await unminted(denied)
    expect(error).toMatchObject({ code: 'denied', members: { reason: 'forbidden', decision: { effect: 'deny' } } })
    await refusalOf(denied())
    const records = (await story.records('decision.denied')).filter((record) => record.task === task.id)
    expect(records).toHaveLength(2)
    expect(records[0]).toMatchObject({
      request_id: caller.requestId,
      decision: { policies: ['no-escalation-to-admin'], reason: 'forbidden', input: { recentDenials: 0 } },
    })
    expect(records[1]).toMatchObject({ decision: { input: { recentDenials: 1 } } })
  })

  test('when no worker has swept for 10 s', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    await story.at.raw.decrby(`${story.at.tag}swept`, 10_500)
    const error = await unminted(() => exchange(story.parts, caller, task.id, asking(), null))
    await story.sweep()
    expect(error).toMatchObject({ code: 'no_worker', retryAfterSeconds: 5 })
    await story.buy(caller, task)
  })
})

describe('an Idempotency-Key', () => {
  const key = (name: string, body = 'b1') => ({ key: name, bodySha256: sha256Hex(body) })

  test('buys once: again it is already_issued with the lease, with another body a mismatch', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const { lease } = await story.buy(caller, task, {}, key('k'))
    const again = await refusalOf(story.buy(caller, task, {}, key('k')))
    expect(again).toMatchObject({
      code: 'already_issued',
      members: { lease: { id: lease.id, state: 'active', expires_at: expect.any(String) } },
    })
    expect(await codeOf(story.buy(caller, task, {}, key('k', 'b2')))).toBe('idempotency_mismatch')
    expect(story.far.alive().filter((name) => name === lease.id)).toHaveLength(1)
    expect((await story.parts.ledger.leasesOfTask(task.id)).length).toBe(1)
  })

  test('is not used up by a denial', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    expect(await codeOf(story.buy(caller, task, { action: 'account.delete' }, key('k')))).toBe('denied')
    await story.buy(caller, task, {}, key('k'))
  })

  test('of 16 at the same moment buys one', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const answers = await Promise.allSettled(Array.from({ length: 16 }, () => story.buy(caller, task, {}, key('race'))))
    expect(answers.filter((answer) => answer.status === 'fulfilled')).toHaveLength(1)
    for (const answer of answers) {
      if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'already_issued' })
    }
  })
})
