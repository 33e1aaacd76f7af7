// What the README shows really loads, and what it names really exists.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { type LoadedConfig, parseConfig } from '../../../src/config/load.js'
import { loadPolicies } from '../../../src/config/load-policies.js'
import { exampleEnv } from '../../support/example-config.js'
import { readCommandTable } from './command-table.js'
import { readFences, readHeadings, readLinks, readTable } from './markdown.js'

const documents = ['README.md', 'SECURITY.md', 'CHANGELOG.md', 'config/compose/README.md'].concat(
  readdirSync('docs').map((name) => `docs/${name}`),
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

  test('the first grant loads beside those of hallpass dev, and its policy permits it', async () => {
    const [grant, policy] = fences.slice(fences.findIndex((fence) => fence.text.includes('under grants:')))
    expect(policy?.text).toContain('image.push')
    const dev = readFileSync('config/dev/hallpass.yaml', 'utf8')
    for (const file of ['redis.url', 'sealing.key'])
      writeFileSync(join(folder, file), file === 'redis.url' ? exampleEnv.REDIS_URL : exampleEnv.HALLPASS_SEALING_KEY)
    const { settings } = load(dev.replace('grants:\n', `grants:\n${grant?.text ?? ''}`))
    expect(Object.keys(settings.grants)).toContain('image.push')
    rmSync(settings.policies, { recursive: true, force: true })
    mkdirSync(settings.policies)
    writeFileSync(join(settings.policies, 'dev.cedar'), readFileSync('config/dev/policies/dev.cedar', 'utf8'))
    writeFileSync(join(settings.policies, 'images.cedar'), policy?.text ?? '')
    const { policies, warnings } = await loadPolicies(settings)
    expect(policies.map(({ id }) => id)).toContain('payments-push-images')
    expect(warnings).toEqual([])
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
    const rows = readTable('docs/commands.md', ['command', 'what', 'example'])
    expect(rows.map(([name]) => name?.replaceAll('`', '')).sort()).toEqual([...commands.keys()].sort())
  })

  test('each row has an example of its command', () => {
    for (const [name = '', , example = ''] of readTable('docs/commands.md', ['command', 'what', 'example'])) {
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
    const documented = readTable('docs/commands.md', ['code', 'meaning']).map(([code]) => Number(code))
    expect(documented).toEqual(Object.values(exitCodes).sort((a, b) => a - b))
  })

  test('the scripts that it names are in package.json, the test command among them', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
    const text = readFileSync('README.md', 'utf8')
    expect(text).toContain('npm test ')
    const all = documents.map((file) => readFileSync(file, 'utf8')).join('\n')
    for (const [, script = ''] of all.matchAll(/npm run ([a-z]+)/g)) expect(Object.keys(scripts)).toContain(script)
  })
})

test('every link of ours leads to a file that is there, and to a heading that it has', () => {
  for (const file of documents) {
    for (const { path, heading } of readLinks(file)) {
      if (!existsSync(path)) throw new Error(`${file}: ${path} is not there`)
      if (heading !== null && !readHeadings(path).includes(heading))
        throw new Error(`${file}: ${path}#${heading} is not there`)
    }
  }
})

test('the README names every document', () => {
  const named = readLinks('README.md').map(({ path }) => path)
  for (const name of readdirSync('docs')) expect(named).toContain(`docs/${name}`)
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
