import { describe, expect, test } from '@jest/globals'
import { holderId } from '../../../src/ledger/keys.js'
import { aChildOf, activeLease, aTask, openTask, settlementOf } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'
import { withinTime } from '../../support/wall-time.js'

const at = ledgerOfThisFile()

const request = { ttlSeconds: 60, openTasksLimit: 2, ratePerMinute: 1_000_000, idempotency: null }

describe('opening a task', () => {
  test('answers it as it stands in the ledger', async () => {
    const task = await openTask(at.ledger, aTask({ purpose: 'ship it', attributes: { ref: 'main' } }))
    expect(await at.ledger.findTask(task.id)).toEqual(task)
    expect(await at.ledger.openTasksOf(holderId('account', task.account))).toEqual([task.id])
    expect(Number(await at.raw.zscore(`${at.tag}due:tasks`, task.id))).toBe(task.expiresAt)
  })

  test('is refused at the limit of open tasks, until one ends', async () => {
    const first = await openTask(at.ledger)
    const next = () => aTask({ account: first.account, holders: first.holders })
    expect(await at.ledger.openTask({ ...request, task: next() })).toMatchObject({ outcome: 'ok' })
    expect(await at.ledger.openTask({ ...request, task: next() })).toMatchObject({ outcome: 'quota' })
    await at.ledger.endTask(first.id, 'succeeded')
    expect(await at.ledger.openTask({ ...request, task: next() })).toMatchObject({ outcome: 'ok' })
  })

  test('is refused beyond the requests of a minute', async () => {
    const account = aTask()
    const open = () =>
      at.ledger.openTask({
        ...request,
        openTasksLimit: 100,
        ratePerMinute: 2,
        task: aTask({ account: account.account }),
      })
    const outcomes = []
    for (let i = 0; i < 6; i++) outcomes.push((await open()).outcome)
    expect(outcomes.slice(0, 2)).toEqual(['ok', 'ok'])
    expect(outcomes).toContain('rate')
  })

  test('with a used key answers the task that it opened, and opens none', async () => {
    const idempotency = { key: `k-${process.pid}`, bodySha256: 'b1' }
    const first = await openTask(at.ledger, aTask(), { idempotency })
    const second = aTask()
    const answer = await at.ledger.openTask({
      ...request,
      task: second,
      idempotency: { ...idempotency, bodySha256: 'b2' },
    })
    expect(answer).toEqual({ outcome: 'again', task: first.id, bodySha256: 'b1' })
    expect(await at.ledger.findTask(second.id)).toBeNull()
  })

  test('under a parent whose chain is closed is refused', async () => {
    const parent = await openTask(at.ledger)
    await at.ledger.endTask(parent.id, 'succeeded')
    const answer = await at.ledger.openTask({ ...request, task: aChildOf(parent) })
    expect(answer.outcome).not.toBe('ok')
  })
})

async function settled(lease: string): Promise<void> {
  await at.ledger.endLeases([lease], { reason: 'completed', actor: 'a' })
  await at.ledger.claim(lease, 'w')
  await at.ledger.settle(lease, 'w', settlementOf('revoked'))
}

describe('ending a task', () => {
  test('is done once and names the children', async () => {
    const parent = await openTask(at.ledger)
    const child = await openTask(at.ledger, aChildOf(parent))
    expect(await at.ledger.endTask(parent.id, 'succeeded')).toMatchObject({ ended: true, children: [child.id] })
    expect(await at.ledger.findTask(parent.id)).toMatchObject({ state: 'ended', outcome: 'succeeded' })
    await at.ledger.taskLeasesEnded(parent.id)
    expect(await at.ledger.endTask(parent.id, 'failed')).toMatchObject({ ended: false })
    expect(await at.ledger.findTask(parent.id)).toMatchObject({ outcome: 'succeeded' })
  })

  test('says of an unknown task that it is not there, and forgets it where it was still due', async () => {
    await at.raw.zadd(`${at.tag}due:tasks`, 1, 'task_lost')
    expect(await at.ledger.endTask('task_lost', 'deadline')).toBe('not_found')
    expect(await at.raw.zscore(`${at.tag}due:tasks`, 'task_lost')).toBeNull()
  })

  test('stays due until its leases were told to end and its end is written', async () => {
    const task = await openTask(at.ledger)
    await at.ledger.endTask(task.id, 'succeeded')
    expect(await at.raw.zscore(`${at.tag}due:tasks`, task.id)).not.toBeNull()
    await at.ledger.taskLeasesEnded(task.id)
    expect(await at.raw.zscore(`${at.tag}due:tasks`, task.id)).toBeNull()
  })

  test('that nobody finished is finished by whoever looks next: it counts as ended now', async () => {
    const task = await openTask(at.ledger)
    await at.ledger.endTask(task.id, 'succeeded')
    expect(await at.ledger.endTask(task.id, 'deadline')).toMatchObject({ ended: true, outcome: 'succeeded' })
  })

  test('keeps the task for a day after its last lease', async () => {
    const task = await openTask(at.ledger)
    const lease = await activeLease(at.ledger, task)
    await at.ledger.endTask(task.id, 'succeeded')
    await at.ledger.taskLeasesEnded(task.id)
    expect(await at.raw.pttl(`${at.tag}t:${task.id}`)).toBe(-1)
    await settled(lease)
    for (const key of [`t:${task.id}`, `t:${task.id}:l`, `l:${lease}`]) {
      expect(await at.raw.pttl(`${at.tag}${key}`)).toBeGreaterThan(86_000_000)
    }
    expect(await at.ledger.leasesOfTask(task.id)).toEqual([lease])
  })

  test('is what lets a task go: one that is open stays, and stays due, when its last lease is over', async () => {
    const task = await openTask(at.ledger)
    await settled(await activeLease(at.ledger, task))
    await at.ledger.taskLeasesEnded(task.id)
    expect(await at.raw.pttl(`${at.tag}t:${task.id}`)).toBe(-1)
    expect(await at.raw.zscore(`${at.tag}due:tasks`, task.id)).not.toBeNull()
  })

  test('is not begun by a lease of one that Redis lost: a replay would take it for known', async () => {
    const task = await openTask(at.ledger)
    const lease = await activeLease(at.ledger, task)
    await at.raw.del(`${at.tag}t:${task.id}`)
    await settled(lease)
    expect(await at.raw.exists(`${at.tag}t:${task.id}`)).toBe(0)
  })

  test('is handed out to a sweeper when its time is up, every 2 s', async () => {
    const dueOf = async (task: string) => (await at.ledger.takeDueTasks(100)).filter((one) => one.task === task)
    const handedOut = async () => {
      const { id } = await openTask(at.ledger)
      await at.raw.zadd(`${at.tag}due:tasks`, 1, id)
      return { id, first: await dueOf(id), second: await dueOf(id) }
    }
    const { id, first, second } = await withinTime(2000, handedOut)
    expect([first, second]).toEqual([[{ task: id, outcome: 'deadline' }], []])
    await at.raw.zincrby(`${at.tag}due:tasks`, -2100, id)
    expect(await dueOf(id)).toEqual([{ task: id, outcome: 'deadline' }])
  })
})
