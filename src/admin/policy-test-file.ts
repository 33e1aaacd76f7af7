// `*.tests.yaml`: read strictly, every problem with file, line and field. What a file's `defaults` give, a case need not say.
import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { toProblems } from '../config/issues.js'
import { ConfigError, type ConfigProblem, ConfigProblems } from '../config/problems.js'
import { parseYamlSource, type YamlSource } from '../config/yaml-source.js'
import { resolveSituation, type Situation } from './situation.js'
import type { SituationRules } from './situation-rules.js'
import { type Expectation, testCase, testFile } from './situation-schema.js'

export interface PolicyTest {
  readonly file: string
  readonly line: number
  readonly name: string
  readonly situation: Situation
  readonly expect: Expectation
}

/** A file itself, or every `*.tests.yaml` under a folder, in order. Throws ConfigError where there is no such path. */
export async function listTestFiles(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => null)
  if (found === null) throw new ConfigError([{ file: path, line: 1, column: 1, path: '', message: 'cannot be read' }])
  if (!found.isDirectory()) return [path]
  const files: string[] = []
  for (const name of (await readdir(path)).sort()) {
    // As with policies: mounted Kubernetes volumes keep a second copy under a leading dot.
    if (name.startsWith('.')) continue
    const inner = join(path, name)
    if ((await stat(inner)).isDirectory()) files.push(...(await listTestFiles(inner)))
    else if (/\.tests\.ya?ml$/.test(name)) files.push(inner)
  }
  return files
}

/** The cases of one file. `policies`: the ids there are. Throws ConfigError with every problem. */
export async function readTestFile(
  file: string,
  rules: SituationRules,
  policies: ReadonlySet<string>,
): Promise<PolicyTest[]> {
  return parseTestFile(await readFile(file, 'utf8'), file, rules, policies)
}

/** Throws ConfigError naming file and line of everything that is no test. */
export function parseTestFile(
  text: string,
  file: string,
  rules: SituationRules,
  policies: ReadonlySet<string>,
): PolicyTest[] {
  const source = parseYamlSource(text, file, dirname(resolve(file)), null)
  const problems = new ConfigProblems()
  const parsed = testFile.safeParse(source.value)
  if (!parsed.success) {
    for (const { path, message } of toProblems(parsed.error.issues, testFile, source.value)) {
      problems.add(source.problemAt(path, message))
    }
    problems.throwIfAny()
  }
  const written = source.value as { defaults?: Mapping; cases: Mapping[] }
  const tests = written.cases.flatMap((one, index) => {
    const refuse = (problem: ConfigProblem) => problems.add(problem)
    return readCase({ source, file, index, rules, policies, refuse }, mergedCase(written.defaults ?? {}, one))
  })
  checkNames(tests, source, problems)
  problems.throwIfAny()
  return tests
}

type Mapping = Record<string, unknown>

interface CaseReading {
  readonly source: YamlSource
  readonly file: string
  readonly index: number
  readonly rules: SituationRules
  readonly policies: ReadonlySet<string>
  refuse(problem: ConfigProblem): void
}

function readCase({ source, file, index, rules, policies, refuse }: CaseReading, merged: Mapping): PolicyTest[] {
  const at = ['cases', index]
  const { name, expect, ...written } = testCase.parse(merged)
  for (const id of [...(expect.policies ?? []), ...(expect.offer === undefined ? [] : [expect.offer])]) {
    if (!policies.has(id)) refuse(source.problemAt([...at, 'expect'], `no policy has the @id ${JSON.stringify(id)}`))
  }
  const reading = resolveSituation(written, rules)
  if ('problems' in reading) {
    for (const { path, message } of reading.problems) refuse(source.problemAt([...at, ...path], message))
    return []
  }
  const { line } = source.problemAt(at, '')
  return [{ file, line, name, situation: reading.situation, expect }]
}

/** Mappings member by member; a principal that is named anew, or a value of any other kind, replaces the default whole. */
function mergedCase(defaults: Mapping, one: Mapping): Mapping {
  const { principal } = one
  const isSomebodyElse = isMapping(principal) && ('issuer' in principal || 'subject' in principal)
  const { principal: _, ...others } = defaults
  return merge(isSomebodyElse ? others : defaults, one)
}

function merge(defaults: Mapping, over: Mapping): Mapping {
  const merged = { ...defaults }
  for (const [name, value] of Object.entries(over)) {
    const before = merged[name]
    merged[name] = isMapping(before) && isMapping(value) ? merge(before, value) : value
  }
  return merged
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A report names a case by its name. */
function checkNames(tests: readonly PolicyTest[], source: YamlSource, problems: ConfigProblems): void {
  const seen = new Set<string>()
  for (const { name, line } of tests) {
    if (seen.has(name)) problems.add({ ...source.problemAt([], `two cases are called ${JSON.stringify(name)}`), line })
    seen.add(name)
  }
}
