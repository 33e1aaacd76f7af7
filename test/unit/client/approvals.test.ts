// The SDK where people have to agree first.
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { type BrokerClient, ClientError, createBrokerClient, subjectTokenFrom } from '../../../src/client/index.js'
import { credentials } from '../../support/answers.js'
import { answerApproval } from '../../support/wire-approvals.js'
import { startWireServer, type WireServer } from '../../support/wire-server.js'
import { operatorToken, workloadToken } from '../../support/wire-state.js'

const migrate = { action: 'database.migrate', resource: 'database:orders', context: { change_type: 'schema' } }
let wire: WireServer
let client: BrokerClient
beforeEach(async () => {
  wire = await startWireServer()
  wire.offers.set('database.migrate', { credential: credentials.jwt })
  wire.approvers.set('database.migrate', { group: 'dba', needed: 1 })
  client = createBrokerClient({ url: wire.url, tokenSource: subjectTokenFrom(() => workloadToken) })
})
afterEach(() => wire.close())

const answer = (id: string, vote: 'approve' | 'deny') => {
  const approval = wire.approvals.get(id)
  if (approval) answerApproval(wire, approval, vote, 'because')
}
async function wanted() {
  const asked = await client.askTask({ purpose: 'x', credentials: [migrate] })
  if (asked.outcome !== 'approval_wanting') throw new Error(asked.outcome)
  const [approval] = asked.approvals
  if (approval === undefined) throw new Error('no approval')
  return { taskId: asked.task.id, approval }
}

test('asked, waited for and repeated: one credential', async () => {
  const { taskId, approval } = await wanted()
  const seen: string[] = []
  const onSeen = ({ state }: { state: string }) => {
    // Answered while it is being waited for, not before it was looked at.
    if (seen.push(state) === 1) setTimeout(() => answer(approval.id, 'approve'), 50)
  }
  expect(await client.waitForApproval(approval.id, { onSeen })).toMatchObject({ id: approval.id, state: 'approved' })
  expect([seen[0], seen.at(-1)]).toEqual(['pending', 'approved'])
  const asked = await client.askCredential(taskId, { ...migrate, approval_id: approval.id })
  expect(asked).toMatchObject({ outcome: 'issued', answer: { credential: credentials.jwt } })
})

test('the calls that promise a credential throw approval_required', async () => {
  await expect(client.openTask({ purpose: 'x', credentials: [migrate] })).rejects.toMatchObject({
    code: 'approval_required',
  })
  const { taskId } = await wanted()
  await expect(client.requestCredential(taskId, migrate)).rejects.toMatchObject({ code: 'approval_required' })
})

test('after timeoutMs it answers what was seen last; what was denied is an answer too', async () => {
  const { approval } = await wanted()
  expect(await client.waitForApproval(approval.id, { timeoutMs: 300 })).toMatchObject({ state: 'pending' })
  answer(approval.id, 'deny')
  expect(await client.waitForApproval(approval.id)).toMatchObject({ state: 'denied', end_reason: 'voted' })
})

test('an aborted signal rejects with its reason, also in the middle of a poll', async () => {
  const { approval } = await wanted()
  wire.faults.push({ method: 'GET', path: '/v1/approvals/', answer: 'never' })
  const abort = new AbortController()
  const waiting = client.waitForApproval(approval.id, { signal: abort.signal })
  setTimeout(() => abort.abort(new Error('enough')), 100)
  await expect(waiting).rejects.toThrow('enough')
})

test('outages are waited through; what waiting does not change is thrown', async () => {
  const { approval } = await wanted()
  answer(approval.id, 'approve')
  wire.faults.push({ method: 'GET', path: '/v1/approvals/', answer: 'drop' })
  expect(await client.waitForApproval(approval.id)).toMatchObject({ state: 'approved' })
  await expect(client.waitForApproval(`appr_${'0'.repeat(26)}`)).rejects.toMatchObject({ code: 'not_found' })
  const nobody = createBrokerClient({ url: wire.url, tokenSource: subjectTokenFrom(() => 'nobody') })
  await expect(nobody.waitForApproval(approval.id)).rejects.toBeInstanceOf(ClientError)
})

test('operators list and answer', async () => {
  const { approval } = await wanted()
  const operator = createBrokerClient({ url: wire.url, tokenSource: subjectTokenFrom(() => operatorToken) })
  expect((await operator.listApprovals({ state: 'pending', limit: 10 })).approvals.map(({ id }) => id)).toEqual([
    approval.id,
  ])
  expect(await operator.deny(approval.id, 'no')).toMatchObject({ state: 'denied' })
  expect(wire.seen.at(-1)?.body).toEqual({ reason: 'no' })
})
