// `hallpass doctor`: what is wrong and what to do, for each server, issuer and provider. Changes nothing.
import { access, constants } from 'node:fs/promises'
import { createProviders } from '../compose/providers.js'
import { composeRules } from '../compose/rules.js'
import { loadConfig } from '../config/load.js'
import { ConfigError, formatProblem } from '../config/problems.js'
import type { Settings } from '../config/schema.js'
import type { Environment } from '../config/yaml-source.js'
import { systemClock } from '../core/clock.js'
import { makeFolder } from '../core/make-folder.js'
import { PolicySetError } from '../policy/policy-set.js'
import type { Provider } from '../providers/provider.js'
import { type FileKeyset, openFileKeyset } from '../signing/file-keyset.js'
import type { CommandOutput } from './command-output.js'
import { diagnoseIssuer } from './doctor-issuers.js'
import { diagnoseLedger } from './doctor-ledger.js'
import { diagnoseRedis } from './doctor-redis.js'
import { diagnoseWebhook } from './doctor-webhook.js'
import { recipesOf } from './recipes-of.js'

export interface DoctorCommand {
  readonly config: string
  readonly env?: Environment
}

interface Finding {
  readonly part: string
  readonly problems: readonly string[]
  /** What was seen to be well. */
  readonly seen?: string
  /** More lines about it. */
  readonly notes?: readonly string[]
}

/** Returns the exit code: 0 when all is well, 1 when anything is not. */
export async function runDoctor(command: DoctorCommand, output: CommandOutput): Promise<number> {
  const findings = await examine(command)
  const ill = findings.filter((one) => one.problems.length > 0)
  output.print({ well: ill.length === 0, findings }, findings.map(describe).join('\n'))
  return ill.length === 0 ? 0 : 1
}

function describe({ part, problems, seen, notes = [] }: Finding): string {
  const first =
    problems.length === 0
      ? [`ok    ${part}${seen ? `: ${seen}` : ''}`]
      : problems.map((problem) => `WRONG ${part}: ${problem}`)
  return [...first, ...notes.map((note) => `      ${note}`)].join('\n')
}

async function examine(command: DoctorCommand): Promise<Finding[]> {
  const found: Finding[] = []
  try {
    const loaded = await loadConfig(command.config, command.env)
    const { settings } = loaded
    found.push({ part: 'configuration', problems: [], seen: loaded.file })
    const rules = await composeRules(settings, loaded.file, systemClock)
    found.push({ part: 'policies', problems: [], seen: `policy set ${rules.rules.policy.hash.slice(0, 12)}` })
    const keys = await diagnoseKeys(settings)
    found.push(keys.finding, await diagnoseAudit(settings), await diagnoseRedis(settings))
    const ledger = await diagnoseLedger(settings)
    if (ledger) found.push(ledger)
    const issuers = rules.issuers.issuers.map((one) => diagnoseIssuer(one, settings.issuers[one.name]))
    found.push(...(await Promise.all(issuers)))
    rules.issuers.close()
    if (keys.keyset) found.push(...(await diagnoseProviders(settings, keys.keyset)))
    keys.keyset?.close()
    found.push(...(await diagnoseWebhook(settings)))
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof PolicySetError)) throw error
    const part = error instanceof ConfigError ? 'configuration' : 'policies'
    found.push({ part, problems: error.problems.map(formatProblem) })
  }
  return found
}

async function diagnoseKeys(settings: Settings): Promise<{ finding: Finding; keyset: FileKeyset | null }> {
  try {
    const keyset = await openFileKeyset({ directory: settings.keys.directory })
    return { finding: { part: 'keys', problems: [], seen: settings.keys.directory }, keyset }
  } catch (error) {
    return { finding: { part: 'keys', problems: [messageOf(error)] }, keyset: null }
  }
}

async function diagnoseAudit(settings: Settings): Promise<Finding> {
  const { directory } = settings.audit
  try {
    await makeFolder(directory)
    await access(directory, constants.W_OK)
    return { part: 'audit', problems: [], seen: directory }
  } catch (error) {
    return {
      part: 'audit',
      problems: [`${directory} cannot be written (${messageOf(error)}); give it to the user that runs Hallpass`],
    }
  }
}

async function diagnoseProviders(settings: Settings, keyset: FileKeyset): Promise<Finding[]> {
  const providers = await createProviders({
    settings,
    clock: systemClock,
    keyset,
    isActive: async () => false,
    lockRole: (_key, work) => work(),
  })
  const findings = [...providers.values()].map(async (provider) => {
    // Vault is asked about the paths of every recipe that can be named before there is a lease.
    for (const { grant, recipe } of recipesOf(settings, provider.name)) provider.validate(recipe, validated(grant))
    const problems = await diagnosis(provider)
    const notes = problems.length === 0 ? await provider.notes?.().catch(() => []) : undefined
    return { part: `provider ${provider.name}`, problems, seen: provider.kind, ...(notes ? { notes } : {}) }
  })
  const all = await Promise.all(findings)
  await Promise.all([...providers.values()].map((provider) => provider.close()))
  return all
}

const validated = (grant: { action: string; standing: boolean; ttl: { maxSeconds: number } }) => ({
  name: grant.action,
  standing: grant.standing,
  maxTtlSeconds: grant.ttl.maxSeconds,
})

const diagnosis = (provider: Provider) => provider.diagnose().catch((error: unknown) => [messageOf(error)])

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
