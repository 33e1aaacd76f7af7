import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { runPolicyCheck, runPolicySchema } from '../../../src/admin/policy.js'
import { type ExampleFolder, exampleEnv, writeExample } from '../../support/example-config.js'

let example: ExampleFolder
beforeEach(() => {
  example = writeExample()
})
afterEach(() => example.remove())

interface Printed {
  exitCode: number
  text: string
  value: {
    policies: number | null
    policy_set: string | null
    problems: { severity: string; file: string; line: number }[]
  }
}

async function check(config = example.file): Promise<Printed> {
  const printed: Omit<Printed, 'exitCode'>[] = []
  const output = {
    print: (value: unknown, text: string) => printed.push({ value: value as Printed['value'], text }),
    note: () => {},
  }
  const exitCode = await runPolicyCheck({ config, env: exampleEnv }, output)
  if (printed[0] === undefined || printed.length !== 1) throw new Error('expected one result')
  return { ...printed[0], exitCode }
}

describe('policy check', () => {
  test('finds nothing wrong with the example', async () => {
    const { exitCode, text, value } = await check()
    expect(exitCode).toBe(0)
    expect(text).toMatch(/^11 policies, set [0-9a-f]{64}: 0 errors, 0 warnings$/)
    expect(value).toEqual({ policy_set: expect.any(String), policies: 11, problems: [] })
  })

  test('finds nothing wrong with the configuration to start from', async () => {
    const { exitCode, text } = await check('config/hallpass.yaml')
    expect({ exitCode, text }).toMatchObject({ exitCode: 0, text: expect.stringContaining(': 0 errors, 0 warnings') })
  })

  test('prints what is wrong with the configuration', async () => {
    writeFileSync(example.file, example.text.replace('depth: 5', 'depth: 99'))
    const { exitCode, text } = await check()
    expect(exitCode).toBe(1)
    expect(text).toMatch(/hallpass\.yaml:\d+: limits\.task\.depth: .*\nnot loaded: 1 error, 0 warnings$/)
  })

  test('prints what is wrong with a policy, with the file as it is found from here', async () => {
    const file = join(example.folder, 'policies', 'main.cedar')
    const lines = readFileSync(file, 'utf8').split('\n').length
    appendFileSync(file, '@id("x") permit (principal, action, resource);\n')
    const { exitCode, text, value } = await check()
    expect(exitCode).toBe(1)
    expect(text).toContain(`${file}:${lines}: reaches operate.* without naming one`)
    expect(value).toMatchObject({ policy_set: null, problems: [{ severity: 'error', file, line: lines }] })
  })

  test('warns without failing', async () => {
    const extra = '@id("never") permit (principal, action == Action::"config.read", resource) when { false };\n'
    writeFileSync(join(example.folder, 'policies', 'extra.cedar'), extra)
    const { exitCode, text } = await check()
    expect(exitCode).toBe(0)
    expect(text).toContain('warning: ')
    expect(text).toContain('extra.cedar:1: ')
  })

  test('refuses a permit that rests on what the caller merely claims', async () => {
    const extra =
      '@id("claims") permit (principal in Group::"deployers", action == Action::"database.migrate", resource) when { context.declared has ticket };\n'
    writeFileSync(join(example.folder, 'policies', 'extra.cedar'), extra)
    const { exitCode, text } = await check()
    expect(exitCode).toBe(1)
    expect(text).toContain('extra.cedar:1: claims rests on context.declared.ticket')
  })
})

test('policy schema prints what policies may use', async () => {
  const printed: string[] = []
  const output = { print: (_: unknown, text: string) => printed.push(text), note: () => {} }
  expect(await runPolicySchema({ config: example.file, env: exampleEnv }, output)).toBe(0)
  expect(printed.join()).toContain('entity Database { id: String, environment?: String, host?: String')
})
