import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createId } from '../../../src/core/ids.js'
import type { AnswerApproval, AskApproval } from '../../../src/ledger/approval-ledger.js'
import { connectFailFast, untilReady } from '../../../src/ledger/connection.js'
import type { Task } from '../../../src/ledger/task.js'
import { createRevocationQueue, interactive } from '../../../src/queue/revocation-queue.js'
import {
  activeLease,
  anActivation,
  aReservation,
  letTimePass,
  openTask,
  openTestLedger,
  reserve,
  settlementOf,
  type TestLedger,
} from '../../support/ledger.js'
import { type OwnRedis, startOwnRedis } from '../../support/redis.js'

let redis: OwnRedis
let at: TestLedger
beforeAll(async () => {
  redis = await startOwnRedis()
  at = await openTestLedger(redis)
})
afterAll(async () => {
  await at.close()
  await redis.stop()
})

/** As full as it can be: not one byte may be added. */
async function whileFull(work: () => Promise<void>): Promise<void> {
  await at.raw.config('SET', 'maxmemory', '1')
  try {
    await expect(at.raw.set('more', 'x')).rejects.toThrow(/OOM/)
    await work()
  } finally {
    await at.raw.config('SET', 'maxmemory', '0')
  }
}

test('nothing is issued any more, and everything that ends credentials goes on', async () => {
  const task = await openTask(at.ledger)
  const late = await activeLease(at.ledger, task)
  const minting = await reserve(at.ledger, task, {}, { providerTimeoutMs: 50_000 })
  const over = await openTask(at.ledger)
  const ordered = await activeLease(at.ledger, over)
  await letTimePass(at, late, 61_000)
  await at.raw.zadd(`${at.tag}due:tasks`, 1, over.id)
  const request = await aReservation(at.ledger, task)
  const refused = { code: 'ledger_unavailable' }

  await whileFull(async () => {
    await expect(at.ledger.reserve(request)).rejects.toMatchObject(refused)
    await expect(openTask(at.ledger)).rejects.toMatchObject(refused)
    await expect(at.ledger.activate(minting, anActivation, [])).rejects.toMatchObject(refused)
    // What exists at a provider has to be found again.
    expect(await at.ledger.noteHandle(minting, 'sealed')).toBe('ok')
    expect((await at.ledger.takeDue(['far'], 100)).map((one) => one.lease)).toEqual([late])
    expect((await at.ledger.claim(late, 'w')).outcome).toBe('ok')
    expect(await at.ledger.renewClaim(late, 'w')).toBe(true)
    expect(await at.ledger.settle(late, 'w', settlementOf('expired', { owed: true }))).toBe(true)
    expect(await at.ledger.takeDueTasks(10)).toEqual([{ task: over.id, outcome: 'deadline' }])
    expect(await at.ledger.endTask(over.id, 'deadline')).toMatchObject({ ended: true })
    await at.ledger.createRevocation({ id: 'rev_1', match: {}, reason: 'r', actor: 'a', matched: 1 })
    expect(await at.ledger.takeDueRevocations(10)).toEqual(['rev_1'])
    const order = { reason: 'revoked', actor: 'a', revocation: 'rev_1', forced: true } as const
    expect((await at.ledger.endLeases([ordered, minting], order)).due).toHaveLength(1)
    await at.ledger.revocationScanned('rev_1')
    await at.ledger.taskLeasesEnded(over.id)
    expect((await at.ledger.claim(ordered, 'w')).outcome).toBe('ok')
    const receipt = { outcome: 'pending', at: 1, evidence: 'none' } as const
    expect(await at.ledger.settle(ordered, 'w', { state: 'revoking', receipt, lookAt: 1 })).toBe(true)
    expect((await at.ledger.claim(ordered, 'x')).outcome).toBe('ok')
    expect(await at.ledger.settle(ordered, 'x', settlementOf('revoked'))).toBe(true)
    await at.ledger.owedWritten(late)
  })

  expect((await at.ledger.findLeases([late, ordered, minting])).map((one) => one.state)).toEqual([
    'expired',
    'revoked',
    'revoking',
  ])
  expect(await at.ledger.findLease(request.lease)).toBeNull()
  // The refused reservation left nothing behind: two leases of that task were, one is.
  expect((await at.ledger.lookHolders(task.holders)).holders.map((one) => one.activeLeases)).toEqual([1, 1])
  await reserve(at.ledger, task)
})

test('nobody is asked any more, and what people deny or leave unanswered ends all the same', async () => {
  const task = await openTask(at.ledger)
  const [denied, over, more] = ['a', 'b', 'c'].map((name) => anApproval(task, name))
  if (!denied || !over || !more) throw new Error('three')
  for (const one of [denied, over]) expect((await at.ledger.askApproval(one)).outcome).toBe('ok')
  await whileFull(async () => {
    await expect(at.ledger.askApproval(more)).rejects.toMatchObject({ code: 'ledger_unavailable' })
    expect((await at.ledger.answerApproval(aDenial(denied))).outcome).toBe('ok')
    await at.ledger.withdrawApproval(over.id, 'not_recorded')
    await at.ledger.approvalExpiryWritten(over.id)
  })
  expect(await at.ledger.findApproval(denied.id)).toMatchObject({ state: 'denied', votes: [{ vote: 'deny' }] })
  expect(await at.ledger.findApproval(over.id)).toMatchObject({ state: 'expired' })
  expect(await at.ledger.findApproval(more.id)).toBeNull()
  expect(await at.ledger.takeDueApprovals(10)).toEqual([])
})

function anApproval(task: Task, name: string): AskApproval {
  const resource = { id: 'repo:acme/web', type: 'repo', attributes: {} }
  const bound = { task: task.id, instance: null, chain: task.chain, principal: task.principal, action: 'a', resource }
  const lifetime = { requestedTtlSeconds: 60, ttlSeconds: 60 }
  const offered = { access: 'read', declared: {}, provider: 'far', recipeSha256: '', policy: 'p', ...lifetime } as const
  const requirements = [{ group: 'g', count: 1 }]
  const who = { account: task.account, persons: [], purpose: '', escalation: false, decision: 'd', request: 'r' }
  return {
    id: createId('appr', 1),
    record: { bound: { ...bound, ...offered, requirements }, boundSha256: name, ...who },
    timeoutSeconds: 60,
    pendingLimit: 10,
    cooldownKey: name,
    flagKey: name,
    locks: [],
  }
}

function aDenial({ id, cooldownKey, flagKey }: AskApproval): AnswerApproval {
  const who = { by: 'staff:olga', person: null, issuer: 'staff', subject: 'olga', attributes: {} }
  const vote = { ...who, vote: 'deny', reason: 'r', at: 1 } as const
  const denial = { state: 'denied', locks: [], cooldownKey, cooldownMs: 1000, flagKey } as const
  return { id, answers: '0', person: 'id:staff:olga', vote, ...denial }
}

test('the queue says that it takes no jobs', async () => {
  const jobs = connectFailFast(redis, () => undefined)
  await untilReady(jobs, 30_000)
  const queue = createRevocationQueue(jobs, redis.prefix, () => undefined)
  const due = [{ lease: 'lease_1', provider: 'far', attempts: 0, waitingMs: 0 }]
  await queue.add(due, interactive)
  await whileFull(async () => {
    const more = [{ ...due[0], lease: 'lease_2' }] as typeof due
    await expect(queue.add(more, interactive)).rejects.toThrow(/OOM/)
  })
  await queue.close()
  jobs.disconnect()
})
