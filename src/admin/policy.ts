// `hallpass policy check` and `hallpass policy schema`: on files alone, nothing is started and nobody is called.
import { schemaInputOf } from '../config/cross-checks.js'
import { loadConfig } from '../config/load.js'
import { inPolicyFolder, loadPolicies } from '../config/load-policies.js'
import { ConfigError, formatProblem } from '../config/problems.js'
import type { Settings } from '../config/schema.js'
import type { Environment } from '../config/yaml-source.js'
import { declaredFieldsOf } from '../grants/recipe.js'
import { checkDeclaredUses, type DeclaringGrant } from '../policy/declared-uses.js'
import { checkPitfalls } from '../policy/pitfalls.js'
import { readPolicyFiles } from '../policy/policy-files.js'
import { type PolicySet, PolicySetError } from '../policy/policy-set.js'
import { checkReach } from '../policy/reach.js'
import { generateSchema } from '../policy/schema.js'
import { checkShadows } from '../policy/shadows.js'
import { checkApprovers } from './approvers.js'
import type { CommandOutput } from './command-output.js'
import { checkIssuerPitfalls, pitfallFactsOf } from './pitfalls.js'
import { accessOf, reachFactsOf } from './reach-facts.js'

export interface PolicyCommand {
  /** The configuration's file. */
  readonly config: string
  /** Where its references are looked up; the process's own unless given. */
  readonly env?: Environment
}

interface Finding {
  readonly severity: 'error' | 'warning'
  readonly file: string
  readonly line: number
  readonly column: number
  readonly path?: string
  readonly message: string
}

/**
 * Configuration and policies as start-up would take them, and beyond: what is legal and yet rests on a mere claim.
 * Prints every problem with its place. Returns the exit code: 0 nothing wrong (warnings allowed), 1 something is.
 */
export async function runPolicyCheck(command: PolicyCommand, output: CommandOutput): Promise<number> {
  const findings: Finding[] = []
  let set: PolicySet | null = null
  try {
    const loaded = await loadConfig(command.config, command.env)
    const { settings } = loaded
    findings.push(...checkIssuerPitfalls(loaded).map((problem) => ({ severity: 'warning' as const, ...problem })))
    set = await loadPolicies(settings)
    findings.push(...checkApprovers(loaded, set).map((problem) => ({ severity: 'warning' as const, ...problem })))
    findings.push(
      ...inPolicyFolder(settings, set.warnings).map((problem) => ({ severity: 'warning' as const, ...problem })),
    )
    const pitfalls = inPolicyFolder(settings, checkPitfalls(set, pitfallFactsOf(settings)))
    findings.push(...pitfalls.map((problem) => ({ severity: 'warning' as const, ...problem })))
    const facts = reachFactsOf(settings)
    const idle = inPolicyFolder(settings, [...checkReach(set, facts), ...checkShadows(set, accessOf(facts))])
    findings.push(...idle.map((problem) => ({ severity: 'warning' as const, ...problem })))
    const uses = inPolicyFolder(settings, checkDeclaredUses(set, declaringGrants(settings)))
    findings.push(...uses.map((problem) => ({ severity: 'error' as const, ...problem })))
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof PolicySetError)) throw error
    findings.push(...error.problems.map((problem) => ({ severity: 'error' as const, ...problem })))
  }
  const result = { policy_set: set?.hash ?? null, policies: set?.policies.length ?? null, problems: findings }
  output.print(result, describe(findings, set))
  return findings.some((finding) => finding.severity === 'error') ? 1 : 0
}

/** The policies' texts by path in their folder, as a broker is given them. Throws ConfigError, PolicySetError. */
export async function readPolicies(command: PolicyCommand): Promise<Record<string, string>> {
  return await readPolicyFolder((await loadConfig(command.config, command.env)).settings.policies)
}

/** The same of a folder. Throws PolicySetError. */
export const readPolicyFolder = (folder: string): Promise<Record<string, string>> => readPolicyFiles(folder)

function declaringGrants(settings: Settings): DeclaringGrant[] {
  return Object.values(settings.grants).map((grant) => ({
    action: grant.action,
    access: grant.access,
    fields: Object.keys(grant.context),
    consumed: declaredFieldsOf(grant.recipe),
    approved: grant.require.approval !== null,
  }))
}

function describe(findings: readonly Finding[], set: PolicySet | null): string {
  const lines = findings.map((finding) => {
    const text = formatProblem(finding)
    return finding.severity === 'warning' ? `warning: ${text}` : text
  })
  const errors = findings.filter((finding) => finding.severity === 'error').length
  const counts = `${count(errors, 'error')}, ${count(findings.length - errors, 'warning')}`
  const what = set === null ? 'not loaded' : `${count(set.policies.length, 'policy', 'policies')}, set ${set.hash}`
  return [...lines, `${what}: ${counts}`].join('\n')
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}

/** Prints the Cedar schema that policies of this configuration are validated against. Throws ConfigError. */
export async function runPolicySchema(command: PolicyCommand, output: CommandOutput): Promise<number> {
  const { settings } = await loadConfig(command.config, command.env)
  const schema = generateSchema(schemaInputOf(settings))
  output.print({ schema }, schema.trimEnd())
  return 0
}
