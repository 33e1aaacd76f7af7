// What an operator's lock does to the stories: nothing is issued, what there is dies, and it is on record before it is answered.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { forceRevoke } from '../../../src/broker/force-revoke.js'
import { removeLock } from '../../../src/broker/remove-lock.js'
import { type LockOrder, setLock, writeLock } from '../../../src/broker/set-lock.js'
import { codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})
beforeEach(async () => {
  story.far.calm()
  story.broker.auditSwitch.isDown = () => false
  for (const lock of await story.parts.ledger.listLocks(0, 100)) await story.parts.ledger.removeLock(lock.id)
  await story.parts.ledger.takeDue([], 1)
})

const lock = (target: LockOrder['target'], over: Partial<LockOrder> = {}) =>
  setLock(story.parts, story.operator(), { target, reason: 'laptop stolen', ...over })

describe('a locked target', () => {
  test('gets nothing and is told why; what it has is revoked; its task stays open', async () => {
    const bought = await story.bought()
    const other = await story.bought()
    const until = Date.now() + 3_600_000
    const { lock: set, carriedOut } = await lock({ account: bought.caller.principal.account }, { expiresAt: until })
    await carriedOut
    const refused = await refusalOf(story.buy(bought.caller, bought.task))
    expect(refused).toMatchObject({ code: 'locked', members: { lock: { id: set.id, reason: 'laptop stolen' } } })
    expect(refused.detail).toContain(`account ${bought.caller.principal.account}`)
    expect(refused.detail).toContain('laptop stolen')
    expect(refused.detail).toContain(new Date(until).toISOString())
    expect(await story.lease(bought.lease.id)).toMatchObject({
      state: 'revoking',
      endActor: 'staff:olga',
      forced: true,
    })
    expect((await story.finish(bought.lease.id)).state).toBe('revoked')
    expect((await story.lease(other.lease.id)).state).toBe('active')
    await story.buy(other.caller, other.task)
  })

  test('a locked task is not ended: it is told of the lock, and lives again afterwards', async () => {
    const { caller, task, lease } = await story.bought()
    const { lock: set, carriedOut } = await lock({ task: task.id })
    await carriedOut
    expect(await codeOf(story.buy(caller, task))).toBe('locked')
    await story.finish(lease.id)
    await removeLock(story.parts, story.operator(), set)
    await story.buy(caller, task)
  })

  test('a request that was decided already, and one whose mint is under way, get nothing', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    let locked = Promise.resolve()
    story.broker.auditSwitch.isDown = (record) => {
      // Between the reservation and the mint.
      if (record.event === 'lease.reserved' && record.task === task.id) {
        locked = lock({ account: caller.principal.account }).then(({ carriedOut }) => carriedOut)
      }
      return false
    }
    expect(await codeOf(story.buy(caller, task))).toMatch(/^(locked|provider_failed|provider_unavailable)$/)
    await locked
    expect((await story.finish((await story.onlyLeaseOf(task)).id)).state).toMatch(/^(revoked|void)$/)
  })
})

describe('the record', () => {
  test('is on disk before the answer, with all that is needed to set it again', async () => {
    const { lock: set } = await lock({ resource: 'repo:acme/nobody' })
    const records = await story.records('lock.set')
    expect(records.at(-1)).toMatchObject({
      actor: 'staff:olga',
      lock: set.id,
      target: { resource: 'repo:acme/nobody' },
      reason: 'laptop stolen',
      created_at: new Date(set.createdAt).toISOString(),
      expires_at: null,
      revocation: expect.stringMatching(/^rev_/),
    })
  })

  test('cannot be written: the lock holds, and the operator is told that it is not on record', async () => {
    const { caller, task, lease } = await story.bought()
    story.broker.auditSwitch.isDown = (record) => record.event === 'lock.set'
    expect(await codeOf(lock({ account: caller.principal.account }))).toBe('audit_unavailable')
    expect(await codeOf(story.buy(caller, task))).toBe('locked')
    await story.sweep()
    expect((await story.finish(lease.id)).state).toBe('revoked')
  })

  test('an unlock that cannot be written does not unlock', async () => {
    const { caller, task } = await story.bought()
    const { lock: set } = await lock({ account: caller.principal.account })
    story.broker.auditSwitch.isDown = (record) => record.event === 'lock.removed'
    expect(await codeOf(removeLock(story.parts, story.operator(), set))).toBe('audit_unavailable')
    expect(await codeOf(story.buy(caller, task))).toBe('locked')
    story.broker.auditSwitch.isDown = () => false
    await removeLock(story.parts, story.operator(), set)
    expect((await story.records('lock.removed')).at(-1)).toMatchObject({ lock: set.id, actor: 'staff:olga' })
    expect(await codeOf(removeLock(story.parts, story.operator(), set))).toBe('not_found')
    await story.buy(caller, task)
  })
})

test('a broker that dies right after the lock leaves the revocation to a worker', async () => {
  const { caller, lease } = await story.bought()
  const target = { account: caller.principal.account }
  await writeLock(story.parts, story.operator(), { target, reason: 'r' }, { keepsTask: true })
  expect((await story.lease(lease.id)).state).toBe('active')
  await story.sweep()
  expect((await story.lease(lease.id)).state).toBe('revoking')
  expect((await story.finish(lease.id)).state).toBe('revoked')
})

test('a lock ends by itself when its time is up, and the sweeper says so', async () => {
  const { caller, task } = await story.bought()
  const { lock: set } = await lock({ account: caller.principal.account }, { lastsSeconds: 600 })
  const due = `${story.at.tag}due:locks`
  expect(set.expiresAt).toBe(set.createdAt + 600_000)
  expect(Number(await story.at.raw.zscore(due, set.id))).toBe(set.expiresAt)
  await story.sweep()
  expect(await codeOf(story.buy(caller, task))).toBe('locked')
  await story.at.raw.zincrby(due, -600_000, set.id)
  await story.sweep()
  expect((await story.records('lock.removed')).at(-1)).toMatchObject({ lock: set.id, actor: 'sweeper', expired: true })
  expect(await story.parts.ledger.findLock(set.id)).toBeNull()
  await story.buy(caller, task)
})

test('an order with a lock is one order, counted, and ends the task that it names', async () => {
  const { caller, task, lease } = await story.bought()
  const target = { task: task.id }
  const locked = await writeLock(
    story.parts,
    story.operator(),
    { target, reason: 'r', lastsSeconds: 60 },
    { keepsTask: false },
  )
  const order = { target, reason: 'r', dry_run: false, lock_seconds: 60 }
  const answer = await forceRevoke(story.parts, story.operator(), order, locked)
  expect(answer).toEqual({ id: locked.revocation, matched: 1, lock: locked.lock.id })
  await story.finish(lease.id)
  expect(await story.parts.ledger.findRevocation(locked.revocation)).toMatchObject({
    state: 'done',
    matched: 1,
    done: 1,
  })
  expect(await codeOf(story.buy(caller, task))).toBe('task_closed')
})
