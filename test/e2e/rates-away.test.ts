// While the ledger cannot say how many refusals there were, they are counted per interval alone: nobody can fill the audit then either.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Stack, startStack } from '../support/stack.js'
import { expectProblem, report } from '../support/wire-checks.js'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack?.stop())

test('a flood of refusals while Redis is away is answered as ever, and recorded by account, once', async () => {
  if (!stack.redis.stoppable) return
  const token = await stack.ciToken()
  const path = `/v1/tasks/task_${'0'.repeat(26)}/credentials`
  const before = stack.auditRecords().length
  await stack.redis.stop('SIGKILL')
  for (let i = 0; i < 60; i++) {
    const answer = await stack.call('POST', path, { token, body: { ...report, action: 'no.such' } })
    expectProblem(answer, { status: 404, code: 'unknown_action' })
  }
  const written = stack.auditRecords().slice(before)
  expect(written.filter(({ event }) => event === 'request.refused')).toEqual([])
  await stack.redis.start()
  await stack.untilReady()
  // Back, each is on record again.
  await stack.call('POST', path, { token, body: { ...report, action: 'no.such' } })
  expect(stack.auditRecords().filter(({ event }) => event === 'request.refused')).toMatchObject([
    { code: 'unknown_action' },
  ])
  await stack.restart('serve')
  const counted = stack.auditRecords().filter(({ event }) => event === 'callers.refused')
  const times = counted.reduce(
    (sum, { accounts }) => sum + ((accounts as Record<string, number>)?.['ci:1296269'] ?? 0),
    0,
  )
  expect(times).toBe(60)
})
