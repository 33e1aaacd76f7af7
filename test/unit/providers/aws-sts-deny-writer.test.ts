// Early revocation as it happens at IAM: batches, two processes, lost writes, a full policy, late reads.

import { CreateRoleCommand, GetRolePolicyCommand, IAMClient } from '@aws-sdk/client-iam'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { findMoto, type RunningMoto, startMoto } from '../../../scripts/servers/moto.js'
import { systemClock } from '../../../src/core/clock.js'
import { createAwsStsProvider } from '../../../src/providers/aws-sts.js'
import { parseDenyPolicy } from '../../../src/providers/aws-sts-deny-policy.js'
import type { Handle, LeaseToIssue, Provider } from '../../../src/providers/provider.js'
import { noNote, rejection } from '../../contracts/provider-under-test.js'
import { type AwsWorld, awsConfig, createLock, objectRead, startAwsWorld } from '../../support/aws-sts.js'
import { until } from '../../support/wire-checks.js'

let world: AwsWorld
beforeEach(async () => {
  world = await startAwsWorld()
})
afterEach(() => world.stop())

const unforced = { forced: false }
const always = { method: 'deny_policy', batch: '0s', propagation: '0s' }

/** A handle needs no session at STS: it is computed from the mark. */
async function handleOf(provider: Provider, lease: LeaseToIssue): Promise<Handle> {
  const handle = await provider.findByMark(provider.plan(lease, objectRead))
  if (typeof handle === 'string') throw new Error('a mark is always enough for a handle')
  return handle
}

async function end(provider: Provider, lease: LeaseToIssue, options = unforced): Promise<string> {
  return provider.revoke(await handleOf(provider, lease), lease.deadline, options)
}

const role = () => world.sts.findRole('hallpass-reports')
const policyText = () => role()?.policies.get('hallpass-deny') ?? null
const standing = () => parseDenyPolicy(policyText()).ends
const callsOf = (action: string) => world.sts.calls.filter((call) => call.action === action).length

describe('writing', () => {
  test('sixteen at once by two processes: every entry stands, in few writes', async () => {
    const providers = [
      world.createProvider({ early_revocation: always }),
      world.createProvider({ early_revocation: always }),
    ]
    const leases = Array.from({ length: 16 }, () => world.lease())
    await Promise.all(leases.map((lease, n) => end(providers[n % 2] as Provider, lease)))
    expect([...standing().keys()].sort()).toEqual(leases.map(({ id }) => id).sort())
    expect(callsOf('PutRolePolicy')).toBeLessThanOrEqual(2)
  })

  test('ends again what stands without writing again', async () => {
    const provider = world.createProvider()
    const lease = world.lease()
    await end(provider, lease)
    await end(provider, lease)
    expect(callsOf('PutRolePolicy')).toBe(1)
  })

  test('many probes of one role share their reads, and asking again while it spreads costs none', async () => {
    const provider = world.createProvider({ early_revocation: { ...always, propagation: '10s' } })
    const leases = Array.from({ length: 40 }, () => world.lease())
    const handles = await Promise.all(leases.map((lease) => handleOf(provider, lease)))
    await Promise.all(leases.map((lease) => end(provider, lease)))
    // A read is shared for half a second, which a machine that stands still could let pass between two of them.
    world.clock.monotonicMs = 0
    const before = callsOf('GetRolePolicy')
    await Promise.all(leases.map((lease) => end(provider, lease)))
    expect(await Promise.all(handles.map((handle) => provider.probe(handle)))).toEqual(leases.map(() => 'unknown'))
    expect(callsOf('GetRolePolicy') - before).toBe(1)
  })

  test('adds its own entries again when another writer has lost them, and never drops foreign statements', async () => {
    const provider = world.createProvider()
    const [first, second] = [world.lease(), world.lease()]
    await end(provider, first)
    const theirs =
      '{"Version":"2012-10-17","Statement":[{"Sid":"Theirs","Effect":"Deny","Action":"s3:Put*","Resource":"*"}]}'
    role()?.policies.set('hallpass-deny', theirs)
    expect(await provider.probe(await handleOf(provider, first))).toBe('alive')
    await end(provider, second)
    expect([...standing().keys()].sort()).toEqual([first.id, second.id].sort())
    expect(policyText()).toContain('"Sid":"Theirs"')
  })

  test('leaves a document alone that it cannot read', async () => {
    role()?.policies.set('hallpass-deny', 'not a policy')
    await expect(end(world.createProvider(), world.lease())).rejects.toMatchObject({ kind: 'permanent' })
    expect(policyText()).toBe('not a policy')
  })

  test('a write that does not show is not taken for done', async () => {
    const provider = world.createProvider()
    world.clock.monotonicMs = 0
    world.sts.failNext({ status: 200, body: '<PutRolePolicyResponse/>' }, { action: 'PutRolePolicy' })
    const ending = rejection(end(provider, world.lease()))
    // Looked for more than once; then twice the time-out is over.
    await until(
      () => callsOf('GetRolePolicy'),
      (reads) => reads >= 4,
      60,
    )
    world.clock.monotonicMs = 16_001
    expect(await ending).toMatchObject({ kind: 'retryable', message: expect.stringContaining('does not show yet') })
  })

  test('an identity that may not write is a failure to be seen, not a revocation', async () => {
    const trouble = { status: 403, code: 'AccessDenied' }
    for (const action of ['AssumeRoleWithWebIdentity', 'PutRolePolicy']) {
      const provider = world.createProvider()
      world.sts.failNext(trouble, { action })
      await expect(end(provider, world.lease())).rejects.toMatchObject({
        kind: 'permanent',
        message: expect.stringContaining('AccessDenied'),
      })
    }
    expect(policyText()).toBeNull()
  })

  test('the writing identity is taken once for many writes, and may do the three calls alone', async () => {
    const provider = world.createProvider()
    for (let n = 0; n < 3; n++) await end(provider, world.lease())
    const logins = world.sts.calls.filter((call) => call.action === 'AssumeRoleWithWebIdentity')
    expect(logins).toHaveLength(1)
    expect(logins[0]?.form.get('RoleArn')).toBe('arn:aws:iam::123456789012:role/hallpass-deny')
    expect(JSON.parse(logins[0]?.form.get('Policy') ?? '').Statement).toHaveLength(1)
  })

  test('what is still collected is written when the provider closes', async () => {
    const provider = world.createProvider({ early_revocation: { ...always, batch: '1h' } })
    const lease = world.lease()
    const ending = end(provider, lease)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(policyText()).toBeNull()
    await provider.close()
    expect(await ending).toBe('revoked')
    expect(standing().has(lease.id)).toBe(true)
  })
})

describe('what is promised', () => {
  test('as many as the capacity says can be ended; beyond it only an operator finds room', async () => {
    const provider = world.createProvider()
    const capacity = provider.capacity?.(objectRead)
    expect(capacity?.key).toBe(objectRead.role)
    const leases = Array.from({ length: capacity?.leases ?? 0 }, (_, n) => world.lease(70 + n * 15))
    await Promise.all(leases.map((lease) => end(provider, lease)))
    const more = Array.from({ length: 200 }, () => world.lease(3_000))
    const outcomes = await Promise.allSettled(more.map((lease) => end(provider, lease)))
    expect(outcomes.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(100)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ kind: 'retryable' })
    }
    expect(await end(provider, world.lease(3_000), { forced: true })).toBe('revoked')
    for (const { id } of leases) expect(standing().has(id)).toBe(true)
  })

  test('with little left it waits for the deadline, and says alive until then', async () => {
    const provider = world.createProvider()
    const lease = world.lease(59)
    expect(await end(provider, lease)).toBe('revoked')
    const handle = await handleOf(provider, lease)
    expect(await provider.probe(handle)).toBe('alive')
    expect(world.sts.calls).toEqual([])
    world.clock.offsetMs = 59_001
    expect(await provider.probe(handle)).toBe('dead')
  })

  test("forced only: ordinary ends are refused, an operator's are written, and the class claims nothing", async () => {
    const provider = world.createProvider({ early_revocation: { ...always, when: 'forced' } })
    expect(provider.guarantees(objectRead).revocation).toBe('natural_expiry')
    expect(provider.capacity?.(objectRead)).toBeNull()
    const lease = world.lease()
    await expect(end(provider, lease)).rejects.toMatchObject({ kind: 'permanent' })
    expect(await end(provider, lease, { forced: true })).toBe('revoked')
    expect(await provider.probe(await handleOf(provider, lease))).toBe('dead')
  })

  test('a standing entry counts as dead only after it had time to spread, also for another process', async () => {
    const settings = { early_revocation: { ...always, propagation: '10s' } }
    const [one, other] = [world.createProvider(settings), world.createProvider(settings)]
    const lease = world.lease()
    await end(one, lease)
    const handle = await handleOf(one, lease)
    expect(await one.probe(handle)).toBe('unknown')
    world.clock.offsetMs = 10_000
    expect(await one.probe(handle)).toBe('dead')
    expect(await other.probe(handle)).toBe('unknown')
    world.clock.offsetMs = 20_000
    expect(await other.probe(handle)).toBe('dead')
  })
})

describe('on moto', () => {
  const found = findMoto()
  const skipped = found === null && process.env.HALLPASS_REQUIRE_REAL !== '1'
  const onMoto = skipped ? test.skip : test
  let moto: Pick<RunningMoto, 'url' | 'stop'>
  let iam: IAMClient
  beforeAll(async () => {
    if (skipped) return
    if (found === null) throw new Error('HALLPASS_REQUIRE_REAL=1 and there is no moto_server')
    moto = found.kind === 'url' ? { url: found.url, stop: async () => {} } : await startMoto(found.path)
    const credentials = { accessKeyId: 'AKIAHALLPASSTEST0000', secretAccessKey: 'test-only' }
    iam = new IAMClient({ endpoint: moto.url, region: 'eu-west-1', credentials })
    for (const RoleName of ['hallpass-reports', 'hallpass-deny']) {
      const AssumeRolePolicyDocument = '{"Version":"2012-10-17","Statement":[]}'
      await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument })).catch(() => {})
    }
  }, 240_000)
  afterAll(async () => {
    iam?.destroy()
    await moto?.stop()
  })

  onMoto('sixteen concurrent ends of one role by two processes lose no entry', async () => {
    const lockRole = createLock()
    const deps = {
      clock: systemClock,
      signFederationToken: async () => 'x.y.z',
      federationIssuer: 'https://x',
      lockRole,
    }
    const providers = [1, 2].map(() => createAwsStsProvider('aws', awsConfig(moto.url), deps))
    const leases = Array.from({ length: 16 }, () => world.lease())
    await Promise.all(leases.map((lease, n) => end(providers[n % 2] as Provider, lease)))
    const answer = await iam.send(
      new GetRolePolicyCommand({ RoleName: 'hallpass-reports', PolicyName: 'hallpass-deny' }),
    )
    const { ends } = parseDenyPolicy(answer.PolicyDocument ?? null)
    for (const { id } of leases) expect(ends.has(id)).toBe(true)
    for (const provider of providers) await provider.close()
  })

  onMoto('issues what the default identity of moto can use', async () => {
    const deps = {
      clock: systemClock,
      signFederationToken: async () => 'x.y.z',
      federationIssuer: 'https://x',
      lockRole: createLock(),
    }
    const provider = createAwsStsProvider('aws', awsConfig(moto.url), deps)
    const { credential, providerRef } = await provider.issue(world.lease(), objectRead, noNote)
    expect(credential).toMatchObject({ type: 'aws', access_key_id: providerRef, region: 'eu-west-1' })
    await provider.close()
  })
})
