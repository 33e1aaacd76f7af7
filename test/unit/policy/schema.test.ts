import { readFileSync } from 'node:fs'
import { schemaToJson } from '@cedar-policy/cedar-wasm/nodejs'
import { describe, expect, test } from '@jest/globals'
import { checkSchemaInput, entityTypeOf, generateSchema, type SchemaInput } from '../../../src/policy/schema.js'
import { loadExample } from '../../support/example-config.js'

const empty: SchemaInput = { grants: {}, resources: [], issuers: {} }

describe('the generated Cedar schema', () => {
  test('is the example schema for the example configuration', async () => {
    const expected = readFileSync('test/fixtures/schema.example.cedarschema', 'utf8')
    const { schema } = await loadExample()
    expect(json(schema)).toEqual(json(expected))
    const lines = (text: string) => text.split('\n').filter((line) => line !== '' && !line.startsWith('//'))
    // The example's order of actions and of Workload's attributes is by hand; otherwise every line is the same to the letter.
    const others = (text: string) =>
      lines(text)
        .filter((line) => !line.startsWith('entity Workload'))
        .sort()
    expect(others(schema)).toEqual(others(expected))
  })

  test('is accepted by Cedar without issuers, resources and grants', () => {
    expect(json(generateSchema(empty))).toHaveProperty(['', 'actions', 'operate.view'])
  })

  test('quotes attributes that are reserved words of Cedar', () => {
    const resources = [
      { pattern: 'a:b', type: 'a', placeholders: [], attributes: { in: 'x', has: true, n: 1, s: ['x'] } },
    ]
    const schema = generateSchema({ ...empty, resources })
    expect(schema).toContain('entity A { id: String, "has"?: Bool, "in"?: String, n?: Long, s?: Set<String> };')
    json(schema)
  })

  test('makes CamelCase of a resource type', () => {
    expect(entityTypeOf('pull_request')).toBe('PullRequest')
  })

  test('finds an attribute with two types, over issuers of one use and over resources of one type', () => {
    const problems = checkSchemaInput({
      grants: {},
      resources: [
        { pattern: 'db:a', type: 'db', placeholders: [], attributes: { tier: 1 } },
        { pattern: 'db:{tier}', type: 'db', placeholders: ['tier'], attributes: {} },
        { pattern: 'repo:a', type: 'repo', placeholders: [], attributes: { tier: 'x' } },
      ],
      issuers: {
        a: { use: 'workload', attributes: { role: 'String' } },
        b: { use: 'workload', attributes: { role: 'Set<String>' } },
        c: { use: 'operator', attributes: { role: 'Set<String>', account: 'String' } },
        d: { use: 'workload', attributes: { account: 'String' } },
      },
    })
    expect(problems.map((problem) => problem.path.join('.'))).toEqual([
      'issuers.b.attributes.role',
      'issuers.d.attributes.account',
      'resources.db:{tier}.tier',
    ])
  })
})

function json(schema: string): unknown {
  const answer = schemaToJson(schema)
  if (answer.type === 'failure') throw new Error(answer.errors.map((error) => error.message).join('; '))
  return answer.json
}
