// What the far side can read of a credential: which action, on what, declared how, in which task, by which lease.
import { createHash } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { planSession } from '../../../src/providers/aws-sts-session.js'
import { intentOf } from '../../../src/providers/intent.js'
import type { LeaseToIssue } from '../../../src/providers/provider.js'
import { metaOf } from '../../../src/providers/vault-mark.js'
import { leaseToIssue } from '../../contracts/provider-under-test.js'

const migration = (over: Partial<LeaseToIssue> = {}) =>
  leaseToIssue(600, {
    action: 'database.migrate',
    resource: 'database:orders',
    declared: { ticket: 'OPS-17', change_type: 'schema' },
    ...over,
  })
const owner = { issuer: 'https://hallpass.test', provider: 'vault' }
const recipe = (resource = 'arn:aws:s3:::acme/*') => ({
  role: 'arn:aws:iam::111122223333:role/hallpass',
  session_policy: {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource: resource }],
  },
})

describe('the intent in a credential', () => {
  test('a signed token: as a claim', () => {
    expect(intentOf(migration())).toEqual({
      action: 'database.migrate',
      resource: 'database:orders',
      declared: { change_type: 'schema', ticket: 'OPS-17' },
    })
  })

  test('a signed token stays small: what is long stands there by its hash', () => {
    const declared = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`field_${i}`, 'x'.repeat(256)]))
    const intent = intentOf(migration({ declared }))
    expect(intent).toEqual({
      action: 'database.migrate',
      resource: 'database:orders',
      declared_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
  })

  test('a Vault token: in its metadata, each value bounded', () => {
    const lease = migration()
    expect(metaOf(owner, lease)).toEqual({
      hallpass_lease: lease.id,
      hallpass_issuer: owner.issuer,
      hallpass_provider: 'vault',
      hallpass_task: lease.taskId,
      hallpass_principal: lease.principal,
      hallpass_action: 'database.migrate',
      hallpass_resource: 'database:orders',
      hallpass_declared: 'change_type=schema ticket=OPS-17',
    })
    const long = metaOf(owner, migration({ principal: `ci:${'x'.repeat(2000)}`, declared: { note: 'y'.repeat(2000) } }))
    for (const value of Object.values(long)) expect(value.length).toBeLessThanOrEqual(512)
  })

  test('an AWS session: in its tags, with the lease as its name', () => {
    const lease = migration()
    const { session, tags, policy } = planSession(lease, recipe())
    expect(session).toBe(lease.id)
    expect(tags).toEqual({
      hallpass_task: lease.taskId,
      hallpass_principal: lease.principal,
      hallpass_action: 'database.migrate',
      hallpass_resource: 'database:orders',
      hallpass_declared: 'change_type=schema ticket=OPS-17',
    })
    expect(policy).toContain('arn:aws:s3:::acme/*')
  })

  test('a declared value that STS does not take as a tag stays recognisable and apart', () => {
    const tag = (note: string) => planSession(migration({ declared: { note } }), recipe()).tags.hallpass_declared ?? ''
    expect(tag('a;b')).toMatch(/^note=a_b-[0-9a-f]{12}$/)
    expect(tag('a;b')).not.toBe(tag('a,b'))
    expect(tag('z'.repeat(256)).length).toBeLessThanOrEqual(96)
  })

  test('a session without room for what was declared is given without that tag, not refused', () => {
    // Hashes do not compress: the packed size is used up bit by bit.
    const noise = Array.from({ length: 40 }, (_, i) => createHash('sha512').update(String(i)).digest('base64url')).join(
      '',
    )
    const note = noise.slice(-80)
    // Ids of its own pack a byte better or worse each time: then "with" and "without" could come by turns.
    const same = migration({
      id: `lease_${'0123456789abcdefghjkmnpqrs'}`,
      taskId: `task_${'0123456789abcdefghjkmnpqrs'}`,
      declared: { note },
    })
    const found = Array.from({ length: 160 }, (_, i) => i * 10).map((length) => {
      try {
        const { tags } = planSession(
          { ...same, deadline: 1_800_000_000_000 },
          recipe(`arn:aws:s3:::${noise.slice(0, length)}`),
        )
        return 'hallpass_declared' in tags ? 'with' : 'without'
      } catch {
        return 'refused'
      }
    })
    expect(found[0]).toBe('with')
    expect(found.join(' ')).toMatch(/^(with )+(without )+(refused ?)+$/)
  })
})
