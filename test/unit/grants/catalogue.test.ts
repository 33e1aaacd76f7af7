import { describe, expect, test } from '@jest/globals'
import { BrokerError } from '../../../src/core/errors.js'
import { checkContext, createCatalogue } from '../../../src/grants/catalogue.js'
import { grantsConfig, resourcesConfig } from '../../../src/grants/grant-config.js'

const grants = grantsConfig.parse({
  'repo.read': { access: 'read', resource: 'repo', provider: 'p', ttl: { default: '1m', max: '2m' }, recipe: {} },
  'db.change': {
    access: 'write',
    resource: 'db',
    provider: 'p',
    ttl: { default: '1m', max: '1m' },
    context: {
      kind: { type: 'string', one_of: ['schema', 'data'] },
      ticket: { type: 'string', pattern: 'OPS-[0-9]+|NONE', optional: true },
      rows: { type: 'integer', optional: true },
      urgent: { type: 'boolean', optional: true },
    },
    recipe: {},
  },
})
const resources = resourcesConfig.parse({
  'repo:acme/{name}': { tier: 'medium' },
  'repo:acme/web': { tier: 'low' },
  'repo:{owner}/{name}': { tier: 'high' },
  'repo:acme/libs/{name}': null,
  'db:orders': { big: true },
})
const catalogue = createCatalogue(grants, resources)
const repo = catalogue.resolveGrant('repo.read')
const change = catalogue.resolveGrant('db.change')

function refusal(run: () => unknown): BrokerError {
  try {
    run()
  } catch (error) {
    if (error instanceof BrokerError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('the catalogue', () => {
  test('finds a grant by its action', () => {
    expect(repo).toMatchObject({
      action: 'repo.read',
      resourceType: 'repo',
      ttl: { defaultSeconds: 60, maxSeconds: 120 },
    })
  })

  test.each(['repo.write', '', 'constructor', '__proto__'])('answers unknown_action for %j', (action) => {
    expect(refusal(() => catalogue.resolveGrant(action)).code).toBe('unknown_action')
  })

  test.each([
    ['repo:acme/web', { tier: 'low' }],
    ['repo:acme/api', { tier: 'medium', name: 'api' }],
    ['repo:other/api', { tier: 'high', owner: 'other', name: 'api' }],
    ['repo:acme/libs/core', { name: 'core' }],
    ['repo:acme/.github', { tier: 'medium', name: '.github' }],
  ])('resolves %s, an exact id before a pattern and the narrower pattern first', (id, attributes) => {
    expect(catalogue.resolveResource(id, repo)).toEqual({ id, type: 'repo', attributes })
  })

  test.each([
    'repo:acme',
    'repo:acme/',
    'repo:acme/..',
    'repo:acme/.',
    'repo:acme/a/b/c',
    'repo:Acme/web',
    'repo:acme/WEB',
    'repo:acme/a b',
    'repo:acme/{name}',
    'repo:acme/web\n',
    'repox:acme/web',
    `repo:acme/${'x'.repeat(129)}`,
    'db:orders',
    '',
  ])('answers unknown_resource for %j', (id) => {
    expect(refusal(() => catalogue.resolveResource(id, repo)).code).toBe('unknown_resource')
  })

  test('finds a resource of any type', () => {
    expect(catalogue.findResource('db:orders')?.type).toBe('db')
    expect(catalogue.findResource('db:other')).toBeUndefined()
  })
})

describe('declared context', () => {
  test('comes back typed', () => {
    const context = { kind: 'schema', ticket: 'OPS-12', rows: 3, urgent: false }
    expect(checkContext(change, context)).toEqual(context)
    expect(checkContext(change, { kind: 'data' })).toEqual({ kind: 'data' })
  })

  test.each([
    [{}, 'context.kind'],
    [{ kind: 'drop' }, 'context.kind'],
    [{ kind: 1 }, 'context.kind'],
    [{ kind: null }, 'context.kind'],
    [{ kind: 'data', ticket: 'xOPS-1' }, 'context.ticket'],
    [{ kind: 'data', ticket: 'OPS-1x' }, 'context.ticket'],
    [{ kind: 'data', ticket: 'OPS-1NONE' }, 'context.ticket'],
    [{ kind: 'data', ticket: `OPS-${'1'.repeat(300)}` }, 'context.ticket'],
    [{ kind: 'data', rows: 1.5 }, 'context.rows'],
    [{ kind: 'data', rows: 2 ** 53 }, 'context.rows'],
    [{ kind: 'data', rows: '1' }, 'context.rows'],
    [{ kind: 'data', urgent: 'true' }, 'context.urgent'],
    [{ kind: 'data', other: 1 }, 'context.other'],
    [{ kind: 'data', constructor: 1 }, 'context.constructor'],
    [JSON.parse('{"kind": "data", "__proto__": {"ticket": "x"}}'), 'context.__proto__'],
  ])('%j is refused naming %s', (context, field) => {
    const error = refusal(() => checkContext(change, context))
    expect([error.code, error.errors?.map((one) => one.field)]).toEqual(['invalid_request', [field]])
  })

  test('names every wrong field at once', () => {
    const error = refusal(() => checkContext(change, { kind: 'x', rows: 'y', z: 1 }))
    expect(error.errors?.map(({ field }) => field)).toEqual(['context.z', 'context.kind', 'context.rows'])
  })

  test('takes no control characters, no lone surrogates, and nothing that reads otherwise than it is', () => {
    const free = grantsConfig.parse({
      a: {
        access: 'read',
        resource: 'db',
        provider: 'p',
        ttl: { default: '1m', max: '1m' },
        context: { t: { type: 'string' } },
        recipe: {},
      },
    }).a
    if (free === undefined) throw new Error('unreachable')
    expect(checkContext(free, { t: 'å ok' })).toEqual({ t: 'å ok' })
    for (const t of ['a\nb', 'a\u0000', 'a\u009b', '\ud800', 'a\u202eb', 'a\u2066', 'a\u200bb', '\u3164']) {
      expect(refusal(() => checkContext(free, { t })).code).toBe('invalid_request')
    }
  })
})
