// `hallpass policy test`: the cases beside the policies, decided as a broker would decide them. On files alone.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig } from '../config/load.js'
import { inPolicyFolder, loadPolicies } from '../config/load-policies.js'
import { ConfigError } from '../config/problems.js'
import type { Settings } from '../config/schema.js'
import type { Environment } from '../config/yaml-source.js'
import { createCatalogue } from '../grants/catalogue.js'
import { createGroups } from '../policy/groups.js'
import { readPolicyFiles } from '../policy/policy-files.js'
import { type PolicySet, PolicySetError } from '../policy/policy-set.js'
import type { CommandOutput } from './command-output.js'
import { listTestFiles, type PolicyTest, readTestFile } from './policy-test-file.js'
import { coverageOf, describeResults, differencesOf, resultsView, type TestResult } from './policy-test-report.js'
import { createSituationEngine } from './situation-outcome.js'

export interface PolicyTestCommand {
  readonly config: string
  readonly env?: Environment
  /** A file or folder; default: the policy folder. */
  readonly path?: string | undefined
  /** Percent of the policies that some case has to determine. */
  readonly coverageMin?: number | undefined
}

/**
 * Runs every case and prints the report. 0: all as expected; 1: a case, or the coverage, is not. Throws ConfigError and
 * PolicySetError where configuration, policies or tests cannot be read.
 */
export async function runPolicyTest(command: PolicyTestCommand, output: CommandOutput): Promise<number> {
  const { settings } = await loadConfig(command.config, command.env)
  const set = await loadPolicies(settings)
  const tests = await readTests(command.path ?? settings.policies, settings, set)
  const engine = createSituationEngine(settings, set)
  const results = tests.map((test): TestResult => {
    const seen = engine.outcomeOf(test.situation)
    return { test, seen, differences: differencesOf(test, seen) }
  })
  const coverage = coverageOf({ ...set, policies: withFolder(settings, set) }, results)
  output.print(resultsView(results, coverage, set.hash), describeResults(results, coverage, set.hash))
  const { coverageMin = 0 } = command
  const isThin = coverage.percent < coverageMin
  if (isThin) output.note(`hallpass: coverage is ${coverage.percent} %, and at least ${coverageMin} % was asked for`)
  return isThin || results.some(({ differences }) => differences.length > 0) ? 1 : 0
}

/** Files are named as they are found from here. */
function withFolder(settings: Settings, { policies }: PolicySet): PolicySet['policies'] {
  const places = inPolicyFolder(
    settings,
    policies.map(({ file, line }) => ({ file, line, column: 1, message: '' })),
  )
  return policies.map((policy, index) => ({ ...policy, file: places[index]?.file ?? policy.file }))
}

async function readTests(path: string, settings: Settings, set: PolicySet): Promise<PolicyTest[]> {
  const files = await listTestFiles(path)
  if (files.length === 0) {
    throw new ConfigError([{ file: path, line: 1, column: 1, path: '', message: 'there is no *.tests.yaml here' }])
  }
  const catalogue = createCatalogue(settings.grants, settings.resources)
  const rules = { settings, catalogue, groups: createGroups(settings.groups) }
  const ids = new Set(set.policies.map(({ id }) => id))
  const tests: PolicyTest[] = []
  for (const file of files) tests.push(...(await readTestFile(file, rules, ids)))
  return tests
}

const lookEveryMs = 300

/** Runs again whenever configuration, policies or tests change, until the signal. Gives the last run's exit code. */
export async function watchPolicyTest(
  command: PolicyTestCommand,
  output: CommandOutput,
  until: AbortSignal,
): Promise<number> {
  let seen = ''
  let code = 1
  while (!until.aborted) {
    const now = await digestOf(command)
    if (now !== seen) {
      if (seen !== '') output.note('--- changed: running again')
      seen = now
      code = await runOnce(command, output)
    }
    await sleep(lookEveryMs, undefined, { signal: until }).catch(() => undefined)
  }
  return code
}

/** What cannot be read ends one run, not the watch: somebody is in the middle of writing it. */
async function runOnce(command: PolicyTestCommand, output: CommandOutput): Promise<number> {
  try {
    return await runPolicyTest(command, output)
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof PolicySetError)) throw error
    for (const line of error.message.split('\n')) output.note(line)
    return 1
  }
}

async function digestOf(command: PolicyTestCommand): Promise<string> {
  const hash = createHash('sha256')
  const note = async (file: string) => hash.update(await readFile(file).catch(() => ''))
  await note(command.config)
  const settings = await loadConfig(command.config, command.env).then(
    (loaded) => loaded.settings,
    () => null,
  )
  if (settings !== null) hash.update(JSON.stringify(await readPolicyFiles(settings.policies).catch(() => ({}))))
  const path = command.path ?? settings?.policies
  for (const file of path === undefined ? [] : await listTestFiles(path).catch(() => [])) await note(file)
  return hash.digest('hex')
}
