// The configuration file: read, references resolved, parsed, checked as a whole, frozen. All problems at once, each with
// file, line and what was expected; there is no half of a configuration.
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import type { z } from 'zod'
import { Secret } from '../core/secret.js'
import type { SettingProblem } from '../core/settings.js'
import { crossCheck } from './cross-checks.js'
import { toProblems, valueAt } from './issues.js'
import { ConfigError, type ConfigProblem, ConfigProblems, systemCode } from './problems.js'
import { checkRecipe } from './recipe-checks.js'
import { literalSecrets, resolveFilePaths } from './references.js'
import { type Settings, settingsSchema } from './schema.js'
import { type Environment, type Path, parseYamlSource, type YamlSource } from './yaml-source.js'

export interface LoadedConfig {
  /** As it was named, for messages; everything inside is resolved against its folder. */
  readonly file: string
  /** What stood in the file. */
  readonly text: string
  readonly settings: Settings
  /** For what is only found wrong later: where it stands in the file. */
  problemAt(path: Path, message: string): ConfigProblem
}

/** `env:` references in `file` are looked up in `env`: the process's own, unless a test brings one. Throws ConfigError naming every problem. */
export async function loadConfig(file: string, env: Environment = process.env): Promise<LoadedConfig> {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file))
  } catch (error) {
    const why = systemCode(error) ?? 'not UTF-8'
    throw new ConfigError([{ file, line: 1, column: 1, path: '', message: `cannot be read (${why})` }])
  }
  return parseConfig(text, file, env)
}

/** The same from text; relative paths and references are taken from the folder of `file`. */
export function parseConfig(text: string, file: string, env: Environment): LoadedConfig {
  const folder = dirname(resolve(file))
  const source = parseYamlSource(text, file, folder, env)
  const problems = new ConfigProblems()
  const refuse = (path: Path, message: string) => problems.add(source.problemAt(path, message))
  for (const path of literalSecrets(source.value, source.references)) {
    refuse(path, 'is a secret: expected a reference, env:NAME or file:PATH')
  }
  resolveFilePaths(source.value, folder)
  const parsed = parseSettings(source)
  if (!parsed.success) {
    for (const { path, message } of toProblems(parsed.error.issues, settingsSchema, source.value)) refuse(path, message)
    problems.throwIfAny()
    throw parsed.error
  }
  const settings = parsed.data
  for (const { path, message } of crossCheck(settings)) refuse(path, message)
  for (const { path, message } of checkRecipes(settings)) refuse(path, message)
  problems.throwIfAny()
  return { file, text, settings: freeze(settings), problemAt: source.problemAt }
}

/**
 * A reference always gives text. Where the schema wanted a number or a boolean, it is read as YAML would have read it;
 * everywhere else it stays the text that it is.
 */
function parseSettings(source: YamlSource): z.ZodSafeParseResult<Settings> {
  const first = settingsSchema.safeParse(source.value)
  if (first.success) return first
  let changed = false
  for (const issue of first.error.issues) {
    const wantsOther = issue.code === 'invalid_type' && ['number', 'int', 'boolean'].includes(issue.expected)
    if (!wantsOther || !source.references.has(JSON.stringify(issue.path))) continue
    const parent = valueAt(source.value, issue.path.slice(0, -1))
    const last = issue.path.at(-1)
    if (typeof parent !== 'object' || parent === null || last === undefined) continue
    const record = parent as Record<PropertyKey, unknown>
    record[last] = parseDocument(String(record[last])).toJS()
    changed = true
  }
  return changed ? settingsSchema.safeParse(source.value) : first
}

function checkRecipes(settings: Settings): SettingProblem[] {
  return Object.values(settings.grants).flatMap((grant) => {
    const provider = Object.hasOwn(settings.providers, grant.provider) ? settings.providers[grant.provider] : undefined
    if (provider === undefined) return []
    const problems = checkRecipe(provider, grant, settings)
    return problems.map(({ path, message }) => ({ path: ['grants', grant.action, 'recipe', ...path], message }))
  })
}

/** Plain objects and lists, all the way down: nobody below changes what was loaded. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Secret || value instanceof RegExp) return value
  for (const member of Object.values(value)) freeze(member)
  return Object.freeze(value)
}
