import { createHash } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { BrokerError } from '../../../src/core/errors.js'
import { planSession, sessionSeconds, tagValue, validateRecipe } from '../../../src/providers/aws-sts-session.js'
import { completeSessionPolicy, maxPolicyCharacters } from '../../../src/providers/aws-sts-session-policy.js'
import type { JsonObject } from '../../../src/providers/provider.js'
import { leaseToIssue } from '../../contracts/provider-under-test.js'
import { objectRead } from '../../support/aws-sts.js'

const statement = { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' }
const policyOf = (...statements: JsonObject[]): JsonObject => ({ Version: '2012-10-17', Statement: statements })
const recipeOf = (session_policy: JsonObject, more: JsonObject = {}): JsonObject => ({
  ...objectRead,
  session_policy,
  ...more,
})
const manyResources = (count: number) =>
  policyOf({ ...statement, Resource: Array.from({ length: count }, (_, n) => `arn:aws:s3:::bucket-number-${n}/*`) })

describe('validation at load', () => {
  test('takes the recipe of the example, with its placeholders', () => {
    const recipe = recipeOf(policyOf({ ...statement, Resource: 'arn:aws:s3:::$' + '{resource.bucket}/*' }))
    expect(validateRecipe(recipe, 3_600)).toEqual([])
    const role = 'arn:aws:iam::111122223333:role/team/$' + '{resource.team}-reader'
    expect(validateRecipe({ ...recipe, role }, 3_600)).toEqual([])
  })

  const refused: [string, JsonObject, (string | number)[]][] = [
    ['no role', { session_policy: policyOf(statement) }, ['role']],
    ['a user instead of a role', { ...objectRead, role: 'arn:aws:iam::111122223333:user/x' }, ['role']],
    ['no session policy', { role: objectRead.role }, ['session_policy']],
    ['another version', recipeOf({ Version: '2008-10-17', Statement: [statement] }), ['session_policy', 'Version']],
    ['no statement', recipeOf({ Version: '2012-10-17', Statement: [] }), ['session_policy', 'Statement']],
    ['only denies', recipeOf(policyOf({ ...statement, Effect: 'Deny' })), ['session_policy', 'Statement']],
    [
      'an unknown effect',
      recipeOf(policyOf(statement, { ...statement, Effect: 'allow' })),
      ['session_policy', 'Statement', 1, 'Effect'],
    ],
    [
      'action and not-action',
      recipeOf(policyOf({ ...statement, NotAction: 'x:y' })),
      ['session_policy', 'Statement', 0, 'Action'],
    ],
    [
      'no resource',
      recipeOf(policyOf({ Effect: 'Allow', Action: 'x:y' })),
      ['session_policy', 'Statement', 0, 'Resource'],
    ],
    [
      'a number as action',
      recipeOf(policyOf({ ...statement, Action: [1] })),
      ['session_policy', 'Statement', 0, 'Action'],
    ],
    [
      'a principal',
      recipeOf(policyOf({ ...statement, Principal: '*' })),
      ['session_policy', 'Statement', 0, 'Principal'],
    ],
    ['an odd Sid', recipeOf(policyOf({ ...statement, Sid: 'a b' })), ['session_policy', 'Statement', 0, 'Sid']],
    ['more than STS takes', recipeOf(manyResources(80)), ['session_policy']],
    ['a session longer than AWS has', recipeOf(policyOf(statement), { max_session: '13h' }), ['max_session']],
    ['an unknown key', recipeOf(policyOf(statement), { rol: 'x' }), ['rol']],
  ]
  test.each(refused)('refuses %s and says where', (_, recipe, path) => {
    expect(validateRecipe(recipe, 3_600).map((problem) => problem.path)).toContainEqual(path)
  })

  test('refuses a grant that outlives the sessions of its role', () => {
    expect(validateRecipe(objectRead, 3_601)).toHaveLength(1)
    expect(validateRecipe({ ...objectRead, max_session: '2h' }, 7_200)).toEqual([])
  })
})

describe('the completed policy', () => {
  test('is measured with both denies and with the tags, before any call', () => {
    const lease = leaseToIssue(600)
    const overhead = completeSessionPolicy(policyOf(statement), lease.deadline).length
    const fill = 'x'.repeat(maxPolicyCharacters - overhead)
    const exact = recipeOf(policyOf({ ...statement, Resource: `*${fill}` }))
    expect(planSession(lease, exact).policy).toHaveLength(maxPolicyCharacters)
    const over = recipeOf(policyOf({ ...statement, Resource: `*${fill}x` }))
    expect(() => planSession(lease, over)).toThrow(expect.objectContaining({ code: 'unfillable_recipe' }))
  })

  test('refuses at plan time a role that the filled placeholders have made none, and foreign characters', () => {
    const lease = leaseToIssue(600)
    for (const recipe of [
      { ...objectRead, role: 'arn:aws:iam::111122223333:role/' },
      recipeOf(policyOf({ ...statement, Resource: 'arn:aws:s3:::bücher-и/*' })),
    ]) {
      expect(() => planSession(lease, recipe)).toThrow(BrokerError)
    }
  })

  test('ends at the whole second before the deadline, never after it', () => {
    const policy = completeSessionPolicy(policyOf(statement), Date.UTC(2026, 0, 1, 12, 0, 59, 999))
    expect(policy).toContain('{"DateGreaterThanEquals":{"aws:CurrentTime":"2026-01-01T12:00:59Z"}}')
  })
})

describe('the request', () => {
  test.each([
    [60_000, 3_600, 900],
    [900_001, 3_600, 901],
    [7_200_000, 3_600, 3_600],
  ])('%d ms left of a role of %d s asks for %d s', (remainingMs, maxSession, asked) => {
    expect(sessionSeconds(remainingMs, maxSession)).toBe(asked)
  })

  test('of a task below another says who stands above, as long as there is room for it', () => {
    const chain = ['ci:agent', 'ci:boss', 'ci:root'].map((principal) => ({ principal, task: 'task_x' }))
    expect(planSession(leaseToIssue(600), objectRead).tags).not.toHaveProperty('hallpass_chain')
    // Ids of its own pack a byte better or worse each time.
    const ids = { id: 'lease_0123456789abcdefghjkmnpqrs', taskId: 'task_0123456789abcdefghjkmnpqrs' }
    const lease = { ...leaseToIssue(600), ...ids, deadline: 1_800_000_000_000, chain }
    expect(planSession(lease, objectRead).tags).toMatchObject({ hallpass_chain: 'ci:boss ci:root' })
    // As much of what does not pack as a session of a root task has room for.
    const noise = Array.from({ length: 64 }, (_, n) => createHash('sha512').update(`${n}`).digest('base64url')).join('')
    const root = { ...lease, chain: chain.slice(0, 1) }
    const planned = (one: typeof lease, length: number) =>
      planSession(one, recipeOf(policyOf({ ...statement, Resource: `arn:aws:s3:::${noise.slice(0, length)}` })))
    let room = 1
    expect(() => {
      for (; room < 2_000; room++) planned(root, room)
    }).toThrow(/pack to about/)
    expect(planned(lease, room - 1).tags).toEqual(planned(root, room - 1).tags)
  })

  test('any principal makes a tag that AWS takes, and two never make the same one', () => {
    const long = 'ci:repo:' + 'a'.repeat(400)
    const values = ['ci:x', long, `${long}b`, 'ci:ünïcode|<>', 'ci:ünïcode|<<', '', '💥'].map((text) => tagValue(text))
    expect(new Set(values).size).toBe(values.length)
    for (const value of values) expect(value).toMatch(/^[A-Za-z0-9 _.:/=+@-]{0,96}$/)
  })
})
