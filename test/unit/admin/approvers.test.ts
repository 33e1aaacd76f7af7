// `policy check` on the people who approve.
import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { runPolicyCheck } from '../../../src/admin/policy.js'
import { type ExampleFolder, exampleEnv, writeExample } from '../../support/example-config.js'

let example: ExampleFolder
beforeEach(() => {
  example = writeExample()
})
afterEach(() => example.remove())

const second = (more: string) =>
  `  second: { type: oidc, use: operator, issuer: "https://second.acme.example", audience: hallpass-operators${more} }\n`

async function warnings(issuer: string, member: string): Promise<string[]> {
  const dba = '  dba: ['
  if (!example.text.includes(dba)) throw new Error('the example has no group dba')
  const text = example.text.replace('\ngroups:', `${issuer}\ngroups:`).replace(dba, `${dba}${member}`)
  writeFileSync(example.file, text)
  const printed: { problems: { severity: string; path?: string; message: string }[] }[] = []
  const output = { print: (value: unknown) => printed.push(value as (typeof printed)[number]), note: () => {} }
  await runPolicyCheck({ config: example.file, env: exampleEnv }, output)
  const problems = printed[0]?.problems ?? []
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([])
  return problems.flatMap(({ path, message }) => (message.includes('counts twice') ? [`${path}: ${message}`] : []))
}

test('warns where one human can be counted as two approvers', async () => {
  const found = await warnings(second(''), ' "second:olga",')
  expect(found).toEqual([expect.stringMatching(/^issuers\.second: .*whoever is at staff, too, counts twice.*person/)])
})

test.each([
  ['both name the human', second(', person: email'), ' "second:olga",'],
  ['nobody of the other issuer approves', second(''), ''],
  ['there is only one issuer of operators', '', ''],
])('does not where %s', async (_when, issuer, member) => {
  expect(await warnings(issuer, member)).toEqual([])
})
