// `policy check` on policies that validate and yet change nothing: each with its line, and none where there is nothing wrong.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { runPolicyCheck } from '../../../src/admin/policy.js'
import { type ExampleFolder, exampleEnv, writeExample } from '../../support/example-config.js'

let example: ExampleFolder
beforeAll(() => {
  example = writeExample()
  const groups = '\n  nobody: []\n  ops: [ "prod:spiffe://prod.acme.example/agent/ops/bot" ]\n'
  writeFileSync(
    example.file,
    example.text.replace(/^groups:.*\n/m, (line) => `${line.trimEnd()}${groups}`),
  )
})
afterAll(() => example.remove())

async function warnings(policies: string): Promise<{ line: number; message: string; severity: string }[]> {
  const file = join(example.folder, 'policies', 'extra.cedar')
  writeFileSync(file, policies)
  const printed: { problems: { file: string; line: number; message: string; severity: string }[] }[] = []
  const output = { print: (value: unknown) => printed.push(value as (typeof printed)[number]), note: () => {} }
  await runPolicyCheck({ config: example.file, env: exampleEnv }, output)
  return (printed[0]?.problems ?? []).map(({ line, message, severity }) => ({ line, message, severity }))
}

const permit = (scope: string, conditions = '', annotations = '') =>
  `@id("extra")${annotations}\npermit (${scope})\n${conditions};\n`
const query = 'action == Action::"database.query", resource'
const deploy = 'action == Action::"deploy.run", resource'

describe('permits that can never apply', () => {
  const rows: [name: string, policy: string, line: number, message: RegExp][] = [
    [
      'a group that nobody is in',
      permit(`principal in Group::"nobody", ${query}`),
      2,
      /^extra permits nobody: no workload of the configuration is in Group::"nobody"/,
    ],
    [
      "a group of operators, for a workload's action",
      permit(`principal in Group::"dba", ${query}`),
      2,
      /^extra permits nobody: no workload .* is in Group::"dba"/,
    ],
    [
      "a group of workloads, for an operator's action",
      permit('principal in Group::"ops", action == Action::"operate.view", resource'),
      2,
      /^extra permits nobody: no operator .* is in Group::"ops"/,
    ],
    [
      'an issuer that is not there',
      permit(`principal in Issuer::"produ", ${query}`),
      2,
      /^extra permits nobody: no workload .* is in Issuer::"produ"/,
    ],
    [
      'a principal of an issuer that is not there',
      permit(`principal == Workload::"produ:x", ${query}`),
      2,
      /^extra permits nobody: .*Workload::"produ:x"/,
    ],
    [
      'in a condition',
      permit(`principal, ${query}`, 'when { principal in Group::"nobody" }'),
      3,
      /^extra permits nobody: .*Group::"nobody"/,
    ],
    [
      'an attribute that this issuer never gives',
      permit(`principal in Issuer::"prod", ${query}`, 'when { principal has repository }'),
      3,
      /^extra permits nobody: issuer "prod" gives no principal\.repository/,
    ],
    [
      'attributes of two issuers',
      permit(`principal, ${query}`, 'when { principal has repository && principal has agent }'),
      3,
      /^extra permits nobody: no issuer that it reaches gives all of repository, agent/,
    ],
    [
      'a resource that is not there',
      permit('principal, action == Action::"database.query", resource == Database::"database:ordres"'),
      2,
      /^extra permits nothing: "database:ordres" is no resource/,
    ],
    [
      'a value that no resource has',
      permit(`principal, ${deploy}`, 'when { resource has environment && resource.environment == "stagin" }'),
      3,
      /^extra permits nothing: no resource .* has environment "stagin"/,
    ],
    [
      'values that no one resource has together',
      permit(
        `principal, ${deploy} == Repo::"repo:acme/web"`,
        'when { resource has sensitivity && resource.sensitivity == "medium" }',
      ),
      3,
      /^extra permits nothing: no resource .* has sensitivity "medium"/,
    ],
    [
      'two values at once',
      permit(`principal, ${deploy}`, 'when { principal.subject == "a" && principal.subject == "b" }'),
      3,
      /^extra permits nothing: principal\.subject cannot be two values at once/,
    ],
    [
      'an access class without grants',
      permit('principal, action == Action::"admin", resource'),
      2,
      /^extra permits nothing: no grant has the access admin/,
    ],
    [
      'a declared value that the grant does not take',
      permit(
        'principal, action == Action::"database.migrate", resource',
        'when { context.declared.change_type == "schem" }',
      ),
      3,
      /^extra context\.declared\.change_type is never "schem"/,
    ],
    [
      'a binding that is none',
      permit(`principal, ${query}`, 'when { context.binding == "tls" }'),
      3,
      /^extra context\.binding is never "tls"/,
    ],
  ]
  test.each(rows)('%s', async (_, policy, line, message) => {
    const found = await warnings(policy)
    expect(found).toContainEqual({ line, message: expect.stringMatching(message), severity: 'warning' })
    expect(found.filter((one) => message.test(one.message))).toHaveLength(1)
  })

  test('a forbid that waits for a name that nothing has is said too', async () => {
    const found = await warnings(
      '@id("extra") forbid (principal, action in Action::"read", resource) when {\n context.session.granted.contains("database.migrat") || \n context.account.holding_access.containsAny(["deply", "admin"]) || \n context.session.granted_resources.contains("database:ordres") };',
    )
    expect(found.map(({ line, message }) => [line, message])).toEqual([
      [2, 'extra context.session.granted is never "database.migrat": nothing of the configuration is called so'],
      [3, 'extra context.account.holding_access is never "deply": nothing of the configuration is called so'],
      [
        4,
        'extra context.session.granted_resources is never "database:ordres": nothing of the configuration is called so',
      ],
    ])
  })

  test.each([
    ['another group', permit(`principal in Group::"ops", ${query}`)],
    ['an attribute that one of its issuers gives', permit(`principal, ${query}`, 'when { principal has namespace }')],
    [
      'either of two attributes',
      permit(`principal, ${query}`, 'when { principal has repository || principal has agent }'),
    ],
    [
      'a placeholder of the resource',
      permit(`principal in Issuer::"prod", ${deploy}`, 'when { resource has name && resource.name == "api" }'),
    ],
    ["a resource's own id", permit(`principal in Issuer::"prod", ${deploy}`, 'when { resource.id == "acme/api" }')],
    [
      'a value of another resource',
      permit(
        `principal in Issuer::"prod", ${deploy}`,
        'when { resource has sensitivity && resource.sensitivity == "medium" }',
      ),
    ],
    [
      'an operator on the broker',
      permit('principal in Group::"on-call", action == Action::"operate.abandon", resource == Broker::"broker"'),
    ],
  ])('nothing is said of %s', async (_, policy) => {
    expect(
      (await warnings(policy)).filter(({ message }) => /permits no|is never|changes nothing/.test(message)),
    ).toEqual([])
  })
})

describe('permits that others leave nothing to', () => {
  const prod = 'principal in Issuer::"prod"'
  const forbid = (scope: string, conditions = '') => `@id("no") forbid (${scope})\n${conditions};\n`
  const shadows = async (policies: string) =>
    (await warnings(policies))
      .filter(({ message }) => /can never permit|changes nothing/.test(message))
      .map(({ line, message }) => `${line}: ${message}`)

  test.each([
    ['the same scope', forbid(`${prod}, ${query}`)],
    ['a wider principal', forbid(`principal, ${query}`)],
    ['a wider action', forbid('principal, action in Action::"read", resource')],
    ['everything', forbid('principal, action, resource is Database')],
  ])('an unconditional forbid on %s', async (_, text) => {
    const found = await shadows(
      permit(`${prod}, action == Action::"database.query", resource is Database`, 'when { context.task.depth < 2 }') +
        text,
    )
    expect(found.filter((line) => line.includes('extra can never permit'))).toEqual([
      expect.stringMatching(/^1: extra can never permit anything: no \(extra\.cedar:4\) forbids all that it matches/),
    ])
  })

  test('a forbid with a condition of its own takes only what meets it', async () => {
    const text = permit(`${prod}, ${query}`, 'when { context.task.depth < 2 }')
    expect(await shadows(text + forbid(`principal, ${query}`, 'when { context.escalation }'))).not.toContainEqual(
      expect.stringContaining('can never'),
    )
    expect(await shadows(text + forbid(`principal, ${query}`, 'when { context.task.depth < 2 }'))).toContainEqual(
      expect.stringContaining('1: extra can never permit'),
    )
  })

  test('a permit that says what another says', async () => {
    // The example has it for database:orders with @max_ttl("5m").
    const same = permit(
      `${prod}, action == Action::"database.query", resource == Database::"database:orders"`,
      '',
      '@max_ttl("5m")',
    )
    const narrower = permit('principal in Group::"ops", action == Action::"config.read", resource is Database')
    const tighter = permit(
      `${prod}, action == Action::"config.read", resource is Database`,
      'when { context.task.depth < 2 }',
      '@approval("dba:1")',
    )
    expect(await shadows(same)).toEqual([
      '12: agents-query-orders changes nothing: extra (extra.cedar:1) permits all that it matches, on terms at least as easy',
    ])
    expect(await shadows(narrower)).toEqual([])
    expect(await shadows(tighter)).toEqual([
      '1: extra changes nothing: agents-read-config (main.cedar:16) permits all that it matches, on terms at least as easy, so its @approval never counts',
    ])
  })

  test('an easier offer changes something', async () => {
    const longer = permit(
      `${prod}, action == Action::"database.query", resource == Database::"database:orders"`,
      '',
      '@max_ttl("10m")',
    )
    // Now the example's own is the one that never counts.
    expect(await shadows(longer)).toEqual([
      expect.stringMatching(
        /^\d+: agents-query-orders changes nothing: extra \(extra\.cedar:1\) .*, so its @max_ttl never counts$/,
      ),
    ])
  })
})
