// What STS is asked for, and what is made of its answers: wrong, slow, late, endless or none.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { decodeJwt } from 'jose'
import type { Trouble } from '../../../scripts/servers/stand-ins/sts.js'
import { ProviderError } from '../../../src/providers/provider.js'
import { everythingIn, noNote, rejection } from '../../contracts/provider-under-test.js'
import { type AwsWorld, objectRead, startAwsWorld } from '../../support/aws-sts.js'

process.env.AWS_ACCESS_KEY_ID = 'AKIAHALLPASSTEST0000'
process.env.AWS_SECRET_ACCESS_KEY = 'test-only-secret-key'

let world: AwsWorld
beforeEach(async () => {
  world = await startAwsWorld()
})
afterEach(() => world.stop())

const lastForm = () => world.sts.calls.at(-1)?.form

describe('the call', () => {
  test('by web identity: signed by nobody, with tags and source identity as claims of our token', async () => {
    const lease = world.lease(120)
    const issued = await world.createProvider().issue(lease, objectRead, noNote)
    const call = world.sts.calls.at(-1)
    expect(call).toMatchObject({ action: 'AssumeRoleWithWebIdentity', accessKeyId: null })
    expect(call?.form.get('RoleSessionName')).toBe(lease.id)
    expect(call?.form.get('DurationSeconds')).toBe('900')
    const claims = decodeJwt(call?.form.get('WebIdentityToken') ?? '')
    expect(claims).toMatchObject({
      sub: 'hallpass:aws:object.read',
      aud: 'sts.amazonaws.com',
      'https://aws.amazon.com/source_identity': lease.id,
    })
    const session = world.sts.findSession(issued.providerRef)
    expect(session?.tags).toEqual({
      hallpass_task: lease.taskId,
      hallpass_principal: lease.principal,
      hallpass_action: 'object.read',
      hallpass_resource: 'bucket:reports',
    })
    expect(issued.handle).toEqual({ session: lease.id, role: objectRead.role, deadline: lease.deadline })
    expect(issued.credential.expires_at).toBe(new Date(lease.deadline).toISOString())
    expect(issued.providerExpiresAt).toBe(session?.expiresAt)
  })

  test('by the default chain: signed, with tags and source identity as parameters', async () => {
    const lease = world.lease(1_800)
    const issued = await world.createProvider({ auth: 'default_chain' }).issue(lease, objectRead, noNote)
    expect(world.sts.calls.at(-1)).toMatchObject({ action: 'AssumeRole', accessKeyId: 'AKIAHALLPASSTEST0000' })
    expect(lastForm()?.get('SourceIdentity')).toBe(lease.id)
    expect(lastForm()?.get('DurationSeconds')).toBe('1800')
    expect(world.sts.findSession(issued.providerRef)?.tags.hallpass_task).toBe(lease.taskId)
  })

  test('a recipe that cannot be filled costs no call', async () => {
    const session_policy = {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: 'x'.repeat(2_000) }],
    }
    const error = await rejection(
      world.createProvider().issue(world.lease(), { ...objectRead, session_policy }, noNote),
    )
    expect(error).toMatchObject({ code: 'unfillable_recipe' })
    expect(world.sts.calls).toEqual([])
  })
})

const secretPolicy = 'acme-reports'
const troubles: [string, Trouble, ProviderError['kind']][] = [
  ['access denied', { status: 403, code: 'AccessDenied', message: `no, not for ${secretPolicy}` }, 'permanent'],
  ['a refused token', { status: 400, code: 'InvalidIdentityToken', message: secretPolicy }, 'permanent'],
  ['a packed policy too large', { status: 400, code: 'PackedPolicyTooLarge', message: secretPolicy }, 'permanent'],
  ['throttling', { status: 400, code: 'Throttling' }, 'retryable'],
  ['an outage at the identity provider', { status: 400, code: 'IDPCommunicationError' }, 'retryable'],
  ['an internal error', { status: 500, code: 'InternalFailure', message: secretPolicy }, 'retryable'],
  ['an overloaded service', { status: 503, code: 'ServiceUnavailable' }, 'unavailable'],
  ["a gateway's page", { status: 502, body: `<html><body>${secretPolicy}</body></html>` }, 'retryable'],
  ['garbage with 200', { status: 200, body: `}{ ${secretPolicy}` }, 'retryable'],
  ['nothing with 200', { status: 200, body: '' }, 'retryable'],
  ['a list of nothing', { status: 200, body: '<AssumeRoleWithWebIdentityResponse/>' }, 'retryable'],
  ['megabytes', { status: 200, body: `<a>${'x'.repeat(2_000_000)}</a>` }, 'retryable'],
  ['a redirect', { status: 302, body: secretPolicy }, 'retryable'],
  ['a made-up code', { status: 400, code: `Evil ${secretPolicy}` }, 'permanent'],
  ['no answer', { hang: true }, 'unavailable'],
  ['an endless answer', { drip: true }, 'unavailable'],
]

describe('answers', () => {
  test.each(troubles)('%s: said as it is, once, and without upstream words', async (_, trouble, kind) => {
    const isEndless = 'hang' in trouble || 'drip' in trouble
    // Long enough that the call has reached the server, wherever this process is kept from running meanwhile.
    const provider = world.createProvider({ timeout: isEndless ? '4s' : '20s' })
    world.sts.failNext(trouble, { times: 10 })
    const started = performance.now()
    const error = await rejection(provider.issue(world.lease(), objectRead, noNote))
    expect(error).toBeInstanceOf(ProviderError)
    expect({ kind: (error as ProviderError).kind, message: (error as Error).message }).toMatchObject({ kind })
    // Without the time-out these two would not end at all; the others do not wait for it.
    expect(performance.now() - started).toBeLessThan(18_000)
    expect(world.sts.calls).toHaveLength(1)
    const text = everythingIn(error)
    expect(text).not.toContain(secretPolicy)
    expect(text).not.toContain(lastForm()?.get('WebIdentityToken') ?? 'a token')
  })

  test('an answer for another session is no credential', async () => {
    const keys = '<AccessKeyId>A</AccessKeyId><SecretAccessKey>B</SecretAccessKey><SessionToken>C</SessionToken>'
    const end = '<Expiration>2099-01-01T00:00:00Z</Expiration>'
    const user =
      '<AssumedRoleUser><AssumedRoleId>R:x</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/x</Arn></AssumedRoleUser>'
    const result = `<AssumeRoleWithWebIdentityResult><Credentials>${keys}${end}</Credentials>${user}</AssumeRoleWithWebIdentityResult>`
    const body = `<AssumeRoleWithWebIdentityResponse>${result}</AssumeRoleWithWebIdentityResponse>`
    world.sts.failNext({ status: 200, body })
    const error = await rejection(world.createProvider().issue(world.lease(), objectRead, noNote))
    expect(error).toMatchObject({ kind: 'retryable', message: expect.stringContaining('another session') })
  })

  test('waits no longer than until the deadline', async () => {
    const provider = world.createProvider({ timeout: '50s' })
    world.sts.failNext({ hang: true })
    const started = performance.now()
    await rejection(provider.issue({ ...world.lease(1), remainingMs: 200 }, objectRead, noNote))
    expect(performance.now() - started).toBeLessThan(25_000)
  })

  test.each([
    ['a doubtful read', { status: 500, code: 'InternalFailure' }],
    ['a refused read', { status: 403, code: 'AccessDenied' }],
    ['a read without a document', { status: 200, body: '<GetRolePolicyResponse/>' }],
    ['no answer', { hang: true }],
  ] as [string, Trouble][])('%s leaves the probe at unknown and overwrites nothing', async (_, trouble) => {
    const lease = world.lease()
    const { handle } = await world.createProvider({ timeout: '20s' }).issue(lease, objectRead, noNote)
    const provider = world.createProvider({ timeout: 'hang' in trouble ? '3s' : '20s' })
    world.sts.failNext(trouble, { times: 10, action: 'GetRolePolicy' })
    expect(await provider.probe(handle)).toBe('unknown')
    expect(await rejection(provider.revoke(handle, lease.deadline, { forced: true }))).toBeInstanceOf(ProviderError)
    expect(world.sts.calls.filter((call) => call.action === 'PutRolePolicy')).toEqual([])
  })
})
