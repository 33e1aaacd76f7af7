// Judged by an independent implementation of IAM's evaluation: what role policy, session policy and deny policy permit
// together, before, at and after the deadline and the early end.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { noNote } from '../../contracts/provider-under-test.js'
import { type AwsWorld, objectRead, startAwsWorld } from '../../support/aws-sts.js'

let world: AwsWorld
beforeAll(async () => {
  world = await startAwsWorld()
})
afterAll(() => world.stop())

const everythingElse = [
  { action: 's3:PutObject' },
  { action: 's3:DeleteObject' },
  { resource: 'arn:aws:s3:::acme-payroll/august.csv' },
  { action: 'sts:AssumeRole', resource: 'arn:aws:iam::123456789012:role/admin' },
]

describe('what an issued session may do', () => {
  test('exactly the grant, although the role may do more', async () => {
    const issued = await world.createProvider().issue(world.lease(), objectRead, noNote)
    expect(await world.allowed(issued)).toBe(true)
    for (const ask of everythingElse) expect({ ask, is: await world.allowed(issued, ask) }).toEqual({ ask, is: false })
  })

  test('another role not even where the session policy itself allows it', async () => {
    const session_policy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }
    const issued = await world.createProvider().issue(world.lease(), { ...objectRead, session_policy }, noNote)
    expect(await world.allowed(issued, { action: 's3:DeleteObject' })).toBe(true)
    const role = 'arn:aws:iam::123456789012:role/admin'
    expect(await world.allowed(issued, { action: 'sts:AssumeRole', resource: role })).toBe(false)
  })

  test('nothing from the deadline on, although STS keeps the session for longer', async () => {
    const lease = world.lease(120)
    const issued = await world.createProvider().issue(lease, objectRead, noNote)
    expect(issued.providerExpiresAt).toBeGreaterThan(lease.deadline + 700_000)
    expect(await world.allowed(issued, { at: lease.deadline - 2_000 })).toBe(true)
    for (const at of [lease.deadline, lease.deadline + 1_000, issued.providerExpiresAt + 86_400_000]) {
      expect(await world.allowed(issued, { at })).toBe(false)
    }
  })
})

describe('an early end', () => {
  test('leaves nothing to the session and everything to the others of the same role', async () => {
    const provider = world.createProvider()
    const [ended, other] = [world.lease(), world.lease()]
    const endedSession = await provider.issue(ended, objectRead, noNote)
    const otherSession = await provider.issue(other, objectRead, noNote)
    expect(await world.allowed(endedSession)).toBe(true)
    expect(await provider.revoke(endedSession.handle, ended.deadline, { forced: false })).toBe('revoked')
    expect(await world.allowed(endedSession)).toBe(false)
    for (const ask of everythingElse) expect(await world.allowed(endedSession, ask)).toBe(false)
    expect(await world.allowed(otherSession)).toBe(true)
    expect(await provider.probe(otherSession.handle)).toBe('alive')
  })

  test('still holds when the entry is pruned after the deadline', async () => {
    const provider = world.createProvider()
    const lease = world.lease(300)
    const issued = await provider.issue(lease, objectRead, noNote)
    await provider.revoke(issued.handle, lease.deadline, { forced: false })
    world.clock.offsetMs = 10 * 60_000
    const later = world.lease(1_200)
    await provider.revoke({ ...issued.handle, session: later.id, deadline: later.deadline }, later.deadline, {
      forced: false,
    })
    const denyPolicy = world.sts.findRole('hallpass-reports')?.policies.get('hallpass-deny') ?? ''
    expect(denyPolicy).toContain(later.id)
    expect(denyPolicy).not.toContain(lease.id)
    expect(await world.allowed(issued)).toBe(false)
    world.clock.offsetMs = 0
  })

  test('denies by its mark a session that STS makes only afterwards', async () => {
    const provider = world.createProvider()
    const lease = world.lease()
    const handle = await provider.findByMark(provider.plan(lease, objectRead))
    if (typeof handle === 'string') throw new Error('a mark is always enough for a handle')
    await provider.revoke(handle, lease.deadline, { forced: false })
    const late = await provider.issue(lease, objectRead, noNote)
    expect(await world.allowed(late)).toBe(false)
  })
})
