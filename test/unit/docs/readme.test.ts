// What the README shows really loads, and what it names really exists.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { type LoadedConfig, parseConfig } from '../../../src/config/load.js'
import { loadPolicies } from '../../../src/config/load-policies.js'
import { exampleEnv } from '../../support/example-config.js'
import { readCommandTable } from './command-table.js'
import { readFences, readLinks, readTable } from './markdown.js'

const documents = ['README.md', 'SECURITY.md', 'CHANGELOG.md', 'config/compose/README.md'].concat(
  ['approval-clients', 'architecture', 'audit', 'delegation', 'identity', 'policies', 'providers'].map(
    (name) => `docs/${name}.md`,
  ),
)
const fences = readFences('README.md')
const quickStarts = fences.flatMap((fence, index) => {
  const policies = fences[index + 1]
  if (fence.language !== 'yaml' || !fence.text.startsWith('# hallpass.yaml\n') || policies === undefined) return []
  return [{ name: /policies\/(\w+)/.exec(policies.text)?.[1] ?? `line ${fence.line}`, yaml: fence.text, policies }]
})

describe('the quick starts', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'hallpass-readme-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  function load(text: string): LoadedConfig {
    return parseConfig(text, join(folder, 'hallpass.yaml'), exampleEnv)
  }

  test('there is one for agents, one for CI and one for operators', () => {
    expect(quickStarts.map(({ name }) => name)).toEqual(['agents', 'ci', 'operators'])
  })

  test.each(quickStarts)('$name: the configuration and its policies load, in 25 lines at most', async (quickStart) => {
    const { settings } = load(quickStart.yaml)
    // The first line only names the file.
    expect(quickStart.yaml.trimEnd().split('\n').length - 1).toBeLessThanOrEqual(25)
    expect(quickStart.policies.language).toBe('cedar')
    rmSync(settings.policies, { recursive: true, force: true })
    mkdirSync(settings.policies)
    writeFileSync(join(settings.policies, 'main.cedar'), quickStart.policies.text)
    const { policies, warnings } = await loadPolicies(settings)
    expect(policies.length).toBeGreaterThan(0)
    expect(warnings).toEqual([])
  })

  test('the workflow may ask for an identity and runs a command with credentials', () => {
    const text = fences.find((fence) => fence.text.startsWith('# .github/workflows/'))?.text ?? ''
    const workflow = parse(text) as {
      permissions: Record<string, string>
      jobs: { report: { steps: { run?: string }[] } }
    }
    expect(workflow.permissions['id-token']).toBe('write')
    expect(workflow.jobs.report.steps.map(({ run }) => run ?? '').join('\n')).toContain(
      'hallpass exec --action object.read',
    )
  })

  test('every YAML of the documents parses', () => {
    for (const file of documents) {
      for (const fence of readFences(file)) if (fence.language === 'yaml') expect(parse(fence.text)).toBeTruthy()
    }
  })
})

describe('the commands', () => {
  test('the table names every command that there is, and no other', async () => {
    const commands = await readCommandTable()
    const rows = readTable('README.md', ['command', 'what', 'example'])
    expect(rows.map(([name]) => name?.replaceAll('`', '')).sort()).toEqual([...commands.keys()].sort())
  })

  test('each row has an example of its command', () => {
    for (const [name = '', , example = ''] of readTable('README.md', ['command', 'what', 'example'])) {
      expect(example.replaceAll('`', '')).toMatch(new RegExp(`^hallpass ${name.replaceAll('`', '')}( |$)`))
    }
  })

  test('every invocation in the documents is of a command that exists, with options that it has', async () => {
    const commands = await readCommandTable()
    const invocations = documents.flatMap((file) => invocationsIn(file).map((text) => ({ file, text })))
    expect(invocations.length).toBeGreaterThan(30)
    for (const { file, text } of invocations) {
      const [first = '', second = ''] = text.split(/\s+/)
      const options = commands.get(`${first} ${second}`) ?? commands.get(first)
      if (options === undefined) throw new Error(`${file}: hallpass ${text}: there is no such command`)
      const own = text.split(/\s--(?:\s|$)/)[0] ?? ''
      for (const [, option = ''] of own.matchAll(/\s(--[a-z-]+)/g)) {
        if (!options.has(option)) throw new Error(`${file}: hallpass ${text}: there is no ${option}`)
      }
    }
  })

  test('the exit codes are those of the programs', async () => {
    const { exitCodes } = await import('../../../src/cli/exit-codes.js')
    const documented = readTable('README.md', ['code', 'meaning']).map(([code]) => Number(code))
    expect(documented).toEqual(Object.values(exitCodes).sort((a, b) => a - b))
  })

  test('the scripts that it names are in package.json, the test command among them', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
    const text = readFileSync('README.md', 'utf8')
    expect(text).toContain('npm test ')
    for (const [, script = ''] of text.matchAll(/npm run ([a-z]+)/g)) expect(Object.keys(scripts)).toContain(script)
  })
})

test('every link to a file of ours leads somewhere', () => {
  for (const file of documents) {
    for (const link of readLinks(file)) {
      const path = link.replace(/^docs\/\.\.\//, '')
      if (!existsSync(path)) throw new Error(`${file}: ${link} is not there`)
    }
  }
})

/** `hallpass …` in shell fences and in code spans, without what stands around it in a shell. */
function invocationsIn(file: string): string[] {
  const shells = readFences(file).filter((fence) => fence.language === 'sh' || fence.language === 'yaml')
  const spans = [...readFileSync(file, 'utf8').matchAll(/`(hallpass [^`]+)`/g)].map((match) => match[1] ?? '')
  const lines = shells.flatMap((fence) => fence.text.split('\n'))
  return [...lines, ...spans].flatMap((line) =>
    [...line.matchAll(/(?:^|[\s"(:])hallpass ([a-z][^"`);&|#<]*(?:"[^"]*"[^"`);&|#<]*)*)/g)].map((match) =>
      (match[1] ?? '').trim(),
    ),
  )
}
