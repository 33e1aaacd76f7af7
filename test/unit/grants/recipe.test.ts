import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BrokerError } from '../../../src/core/errors.js'
import { createCatalogue } from '../../../src/grants/catalogue.js'
import type { Grant } from '../../../src/grants/grant.js'
import { grantsConfig, resourcesConfig } from '../../../src/grants/grant-config.js'
import { checkRecipeTemplate, declaredFieldsOf, fillEnv, fillRecipe } from '../../../src/grants/recipe.js'
import type { Resource } from '../../../src/policy/decision.js'

const resource: Resource = {
  id: 'db:orders',
  type: 'db',
  attributes: {
    role: 'orders',
    shard: 7,
    live: true,
    names: ['a'],
    odd: 'a/b',
    empty: '',
    long: 'x'.repeat(129),
    dot: '.x',
  },
}
const values = { resource, declared: { kind: 'schema' }, task: { id: 'task_0123456789abcdefghjkmnpqrs' } }

function grant(recipe: Grant['recipe'], env: Record<string, string> = {}): Grant {
  const context = {
    kind: { type: 'string', one_of: ['schema', 'data'] },
    note: { type: 'string' },
    odd: { type: 'string', one_of: ['a b'] },
  }
  const parsed = grantsConfig.parse({
    act: { access: 'read', resource: 'db', provider: 'p', ttl: { default: '1m', max: '1m' }, context, recipe, env },
  })
  if (parsed.act === undefined) throw new Error('unreachable')
  return parsed.act
}

describe('filling a recipe', () => {
  test('replaces placeholders inside values, at any depth, and nothing else', () => {
    const template = {
      path: 'database/${resource.role}-${declared.kind}',
      list: [{ id: '${resource.id}' }, 1, true, null, '${resource.shard}'],
      tag: '${task.id}',
      plain: 'costs $5 {resource.role}',
    }
    expect(fillRecipe(template, values)).toEqual({
      path: 'database/orders-schema',
      list: [{ id: 'orders' }, 1, true, null, '7'],
      tag: values.task.id,
      plain: 'costs $5 {resource.role}',
    })
    expect(template.list[0]).toEqual({ id: '${resource.id}' })
  })

  test.each([
    'resource.absent',
    'resource.live',
    'resource.names',
    'resource.odd',
    'resource.empty',
    'resource.long',
    'resource.dot',
    'resource.constructor',
    'resource.',
    'declared.ticket',
    'declared.__proto__',
    'task.purpose',
    'credential.token',
    'aws:username',
    ' resource.role',
    '',
  ])('refuses ${%s} with unfillable_recipe, without its value', (name) => {
    try {
      fillRecipe({ a: [{ b: `x\${${name}}y` }] }, values)
    } catch (error) {
      expect(error).toBeInstanceOf(BrokerError)
      expect(error).toMatchObject({ code: 'unfillable_recipe' })
      expect(String(error)).not.toMatch(/a\/b|xxxx/)
      return
    }
    throw new Error('it was filled')
  })

  test('refuses a placeholder that is never closed', () => {
    expect(() => fillRecipe({ a: 'x${resource.role' }, values)).toThrow('is not closed')
  })

  test('never lets a value reach beyond its token', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const filled = (() => {
          try {
            return fillRecipe({ a: '<${declared.kind}>' }, { ...values, declared: { kind: text } }).a
          } catch {
            return null
          }
        })()
        if (/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/.test(text)) expect(filled).toBe(`<${text}>`)
        else expect(filled).toBeNull()
      }),
    )
  })
})

describe('the environment for exec', () => {
  test('has resources filled in and leaves the credential to the client', () => {
    const env = {
      PGHOST: '${resource.role}.example',
      URL: 'pg://${credential.username}:${credential.password}@${resource.role}',
    }
    expect(fillEnv(env, resource)).toEqual({
      PGHOST: 'orders.example',
      URL: 'pg://${credential.username}:${credential.password}@orders',
    })
  })

  test('refuses what is no token and what is no placeholder', () => {
    expect(() => fillEnv({ A: '${resource.odd}' }, resource)).toThrow('unfillable_recipe')
    expect(() => fillEnv({ A: '${task.id}' }, resource)).toThrow('unfillable_recipe')
  })
})

describe('checking a recipe at load', () => {
  const resources = resourcesConfig.parse({
    'db:orders': { role: 'orders', host: 'a b' },
    'db:{name}': { role: 'any', host: 'h' },
    'db:eu/{name}': { role: 'any', host: 'h', name2: 'x' },
    'repo:x': {},
  })
  const problems = (recipe: Grant['recipe'], env: Record<string, string> = {}) =>
    checkRecipeTemplate(grant(recipe, env), resources).map(({ path, message }) => `${path.join('.')}: ${message}`)

  test('finds nothing in a good one', () => {
    expect(
      problems({ a: '${resource.role}/${declared.kind}/${task.id}' }, { A: '${credential.token}-${resource.role}' }),
    ).toEqual([])
  })

  test.each([
    [{ a: { b: ['${resource.nope}'] } }, 'recipe.a.b.0: ${resource.nope} is absent on db:orders'],
    [{ a: '${resource.name}' }, 'recipe.a: ${resource.name} is absent on db:orders'],
    [
      { a: '${resource.host}' },
      'recipe.a: ${resource.host} is not one token of at most 128 characters [A-Za-z0-9._-] on db:orders',
    ],
    [
      { a: '${resource.id}' },
      'recipe.a: ${resource.id} is not one token of at most 128 characters [A-Za-z0-9._-] on db:eu/{name}',
    ],
    [{ a: '${declared.ticket}' }, 'recipe.a: ${declared.ticket} is not in the context of this grant'],
    [{ a: '${declared.note}' }, 'recipe.a: ${declared.note} expected a context field with one_of'],
    [{ a: '${declared.odd}' }, 'recipe.a: ${declared.odd} one_of has "a b", which is not one token'],
    [
      { a: '${aws:username}' },
      'recipe.a: ${aws:username} is unknown; expected resource.<attribute>, declared.<field> or task.id',
    ],
    [{ a: '${resource.role' }, 'recipe.a: ${resource.role is not closed'],
    [{ '${resource.role}': 1 }, 'recipe.${resource.role}: expected no placeholder in a key'],
  ])('finds %j', (recipe, problem) => {
    expect(problems(recipe)).toEqual([problem])
  })

  test('finds placeholders that exec could never fill', () => {
    expect(problems({}, { A: '${declared.kind}' })).toEqual([
      'env.A: ${declared.kind} is unknown; expected resource.<attribute> or credential.<field>',
    ])
  })

  test('knows which declared fields the recipe consumes', () => {
    expect(declaredFieldsOf({ a: ['x-${declared.kind}'], b: 'declared.note' })).toEqual(new Set(['kind']))
  })

  test('leaves to the request what only the request knows', () => {
    const pattern = resourcesConfig.parse({ 'db:{name}': {} })
    const template = grant({ a: '${resource.name}' })
    expect(checkRecipeTemplate(template, pattern)).toEqual([])
    const found = createCatalogue({ act: template }, pattern).resolveResource('db:.hidden', template)
    expect(() => fillRecipe(template.recipe, { ...values, resource: found })).toThrow('unfillable_recipe')
  })
})
