import { describe, expect, test } from '@jest/globals'
import { checkGroups, createGroups, groupsConfig } from '../../../src/policy/groups.js'
import { workload } from '../../support/example-config.js'

const groups = (config: unknown) => createGroups(groupsConfig.parse(config))

describe('groups', () => {
  test('take in a principal by its exact id', () => {
    const { groupsOf } = groups({ a: ['ci:x:y'], b: ['ci:x'], c: ['other:x:y'] })
    expect(groupsOf(workload('ci', 'x:y'))).toEqual(['a'])
  })

  test('take in who has all the attributes, a list meaning one of', () => {
    const { groupsOf } = groups({ web: [{ issuer: 'ci', where: { ref: 'main', event: ['push', 'dispatch'] } }] })
    expect(groupsOf(workload('ci', 'x', { ref: 'main', event: 'push' }))).toEqual(['web'])
    expect(groupsOf(workload('ci', 'x', { ref: 'main', event: 'dispatch' }))).toEqual(['web'])
    expect(groupsOf(workload('ci', 'x', { ref: 'main', event: 'pull_request' }))).toEqual([])
    expect(groupsOf(workload('ci', 'x', { event: 'push' }))).toEqual([])
    expect(groupsOf(workload('prod', 'x', { ref: 'main', event: 'push' }))).toEqual([])
  })

  test('look for the value inside a set attribute', () => {
    const { groupsOf } = groups({
      dba: [{ issuer: 's', where: { roles: 'dba' } }],
      any: [{ issuer: 's', where: { roles: ['x', 'y'] } }],
    })
    expect(groupsOf(workload('s', 'me', { roles: ['sre', 'dba', 'y'] }))).toEqual(['any', 'dba'])
    expect(groupsOf(workload('s', 'me', { roles: [] }))).toEqual([])
  })

  test('never take a value of another type for the same', () => {
    const { groupsOf } = groups({ a: [{ issuer: 's', where: { n: 1 } }], b: [{ issuer: 's', where: { n: true } }] })
    expect(groupsOf(workload('s', 'me', { n: '1' }))).toEqual([])
    expect(groupsOf(workload('s', 'me', { n: 'true' }))).toEqual([])
    expect(groupsOf(workload('s', 'me', { n: 1 }))).toEqual(['a'])
  })

  test('do not find what an attribute object merely inherits', () => {
    const { groupsOf } = groups({ a: [{ issuer: 's', where: { constructor: 'x' } }] })
    expect(groupsOf(workload('s', 'me'))).toEqual([])
  })

  test('refuse an empty where, which would take in everybody', () => {
    expect(groupsConfig.safeParse({ a: [{ issuer: 's', where: {} }] }).success).toBe(false)
    expect(groupsConfig.safeParse({ a: [{ issuer: 's' }] }).success).toBe(false)
  })

  test('are checked against the issuers', () => {
    const issuers = { ci: { use: 'workload', attributes: { ref: 'String', n: 'Long' } } } as const
    const config = groupsConfig.parse({
      a: ['nobody:x', 'ci:x'],
      b: [
        { issuer: 'ci', where: { rev: 'x' } },
        { issuer: 'ci', where: { n: '1' } },
        { issuer: 'ci', where: { n: [1, 2] } },
      ],
    })
    expect(checkGroups(config, issuers).map(({ path }) => path.join('.'))).toEqual(
      ['a.0', 'b.0.where.rev', 'b.1.where.n'].map((p) => `groups.${p}`),
    )
  })
})
