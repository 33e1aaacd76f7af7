// `hallpass policy explain`: why it is, or was, decided so. On files: the configuration, the policies, and for a decision of
// the past the audit's own folder.
import { parseCredentialOptions } from '../cli/arguments.js'
import { UsageError } from '../cli/exit-codes.js'
import { loadConfig } from '../config/load.js'
import { inPolicyFolder, loadPolicies } from '../config/load-policies.js'
import type { Settings } from '../config/schema.js'
import type { Environment } from '../config/yaml-source.js'
import { createCatalogue } from '../grants/catalogue.js'
import { attributeTypesOf } from '../identity/issuer-config.js'
import type { AttributeValue } from '../identity/principal.js'
import { createGroups } from '../policy/groups.js'
import { findKeptSet } from '../policy/kept-sets.js'
import { asTakenThen, type PolicySet, PolicySetError, parsePolicySet } from '../policy/policy-set.js'
import { operateActions } from '../policy/schema.js'
import type { CommandOutput } from './command-output.js'
import { explainSituation } from './explain-situation.js'
import { explanationText, explanationView } from './explain-words.js'
import { findRecordedDecision, groupsOfNow, type RecordedDecision, situationOfRecord } from './recorded-decision.js'
import { resolveSituation, type Situation } from './situation.js'
import { testDefaults, type WrittenLease, type WrittenSituation } from './situation-schema.js'

export interface PolicyExplainCommand {
  readonly config: string
  readonly env?: Environment
  /** Of a recorded decision. */
  readonly decision?: string | undefined
  /** Where the records are; default: `audit.directory` of the configuration. */
  readonly audit?: string | undefined
  readonly asked: ExplainOptions
}

/** What a situation is described by on the command line. */
export interface ExplainOptions {
  principal?: string
  attribute?: readonly string[]
  group?: readonly string[]
  action?: string
  resource?: string
  ttl?: string
  context?: readonly string[]
  held?: readonly string[]
  granted?: readonly string[]
  binding?: string
  depth?: string
}

/** Prints the explanation. Returns 0: it was explained, whatever was decided. Throws UsageError, ConfigError. */
export async function runPolicyExplain(command: PolicyExplainCommand, output: CommandOutput): Promise<number> {
  const { settings } = await loadConfig(command.config, command.env)
  const inForce = named(settings, await loadPolicies(settings))
  const { situation, set, ...told } =
    command.decision === undefined
      ? { situation: describedSituation(command.asked, settings), set: inForce, notes: [], isAlone: false }
      : await recordedSituation(command.decision, command.audit, settings, inForce)
  const explanation = explainSituation(situation, settings, set, told)
  output.print(explanationView(explanation), explanationText(explanation))
  return 0
}

/** Files as they are found from here. */
function named(settings: Settings, set: PolicySet): PolicySet {
  const places = inPolicyFolder(
    settings,
    set.policies.map(({ file, line }) => ({ file, line, column: 1, message: '' })),
  )
  return { ...set, policies: set.policies.map((policy, i) => ({ ...policy, file: places[i]?.file ?? policy.file })) }
}

async function recordedSituation(id: string, audit: string | undefined, settings: Settings, inForce: PolicySet) {
  const directory = audit ?? settings.audit.directory
  const record = await findRecordedDecision(directory, id).catch((error: unknown) => {
    throw new UsageError(`${directory}: ${error instanceof Error ? error.message : String(error)}`)
  })
  if (record === null)
    throw new UsageError(
      `${directory}: no record here has the decision ${id} with its input (dry runs are not recorded)`,
    )
  const situation = situationOfRecord(record, settings)
  if (situation === null) throw new UsageError(`${record.input.action} is no grant of this configuration any more`)
  const { set, which } = await setOf(record, directory, inForce)
  const by = record.policies.length === 0 ? '' : ` by ${record.policies.join(', ')}`
  const why = record.reason === null ? '' : ` (${record.reason})`
  const then = `it was decided ${record.effect}${why}${by} at ${new Date(record.input.now).toISOString()}`
  const above = `the task was below others, whose permits and ceilings were judged as well: what follows is of the caller alone`
  return {
    situation,
    set,
    notes: [`${then}${which}`, ...groupNotes(record, settings), ...(record.hasAncestors ? [above] : [])],
    isAlone: record.hasAncestors,
  }
}

/** The policies that it was decided by, kept beside the audit; where they are not, those in force, which is said. */
async function setOf({ policySet }: RecordedDecision, directory: string, inForce: PolicySet) {
  if (policySet === inForce.hash) return { set: inForce, which: '' }
  const other = `, with the policy set ${policySet}, which is not the one in force now: what follows is by`
  const kept = await findKeptSet([directory], policySet)
  if (kept.outcome !== 'found')
    return { set: inForce, which: `${other} the policies of now, since that one is ${kept.outcome} here` }
  try {
    return {
      set: await parsePolicySet(kept.files, asTakenThen),
      which: `${other} that one, files and lines are its own`,
    }
  } catch (error) {
    if (!(error instanceof PolicySetError)) throw error
    return { set: inForce, which: `${other} the policies of now, since that one cannot be read by this version` }
  }
}

/** Where the groups of then are not those of now, a reader would look for the difference in vain. */
function groupNotes({ standing, input }: RecordedDecision, settings: Settings): string[] {
  const now = groupsOfNow(input, settings)
  if (standing === null) return ['its groups were not recorded: those of now stand in for them']
  const listed = (groups: readonly string[]) => (groups.length === 0 ? 'no group' : groups.join(', '))
  if (listed(standing.groups) === listed(now)) return []
  return [`${input.principal.id} was in ${listed(standing.groups)} then, and is in ${listed(now)} now`]
}

function describedSituation(asked: ExplainOptions, settings: Settings): Situation {
  const rules = {
    settings,
    catalogue: createCatalogue(settings.grants, settings.resources),
    groups: createGroups(settings.groups),
  }
  const written = testDefaults.safeParse(writtenOf(asked, settings))
  if (!written.success) {
    const [issue] = written.error.issues
    throw new UsageError(`${issue?.path.join('.') ?? 'options'}: ${issue?.message ?? 'not understood'}`)
  }
  const reading = resolveSituation(written.data, rules)
  if ('situation' in reading) return reading.situation
  throw new UsageError(reading.problems.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'))
}

type Unparsed = Record<keyof WrittenSituation, unknown>

function writtenOf(asked: ExplainOptions, settings: Settings): Partial<Unparsed> {
  const { principal, action, resource } = asked
  if (principal === undefined || action === undefined || resource === undefined) {
    throw new UsageError('say what to explain: a decision id, or --principal ISSUER:SUBJECT --action A --resource R')
  }
  const colon = principal.indexOf(':')
  if (colon < 1) throw new UsageError(`--principal: expected ISSUER:SUBJECT, not "${principal}"`)
  const issuer = principal.slice(0, Math.max(colon, 0))
  const isOperate = (operateActions as readonly string[]).includes(action)
  const [wanted] = parseCredentialOptions({ action, resource, context: asked.context })
  return {
    principal: {
      issuer,
      subject: principal.slice(colon + 1),
      ...(asked.attribute === undefined ? {} : { attributes: attributesIn(asked.attribute, issuer, settings) }),
      ...(asked.group === undefined ? {} : { groups: asked.group }),
    },
    request: {
      action,
      resource,
      context: wanted?.request.context ?? {},
      ...(asked.ttl === undefined || isOperate ? {} : { ttl: asked.ttl }),
    },
    held: { session: leasesIn(asked.held ?? [], '--held') },
    granted: { session: leasesIn(asked.granted ?? [], '--granted') },
    ...(asked.binding === undefined ? {} : { binding: asked.binding }),
    ...(asked.depth === undefined ? {} : { task: { depth: depthOf(asked.depth) } }),
  }
}

function depthOf(text: string): number {
  if (/^[0-9]{1,4}$/.test(text)) return Number(text)
  throw new UsageError(`--depth: expected a whole number from 0 on, not "${text}"`)
}

/** `k=v`, of the type that the issuer gives; a set's members each as one. */
function attributesIn(texts: readonly string[], issuer: string, settings: Settings): Record<string, AttributeValue> {
  const config = Object.hasOwn(settings.issuers, issuer) ? settings.issuers[issuer] : undefined
  const types = config === undefined ? {} : attributeTypesOf(config)
  const attributes: Record<string, AttributeValue> = {}
  for (const text of texts) {
    const at = text.indexOf('=')
    if (at < 1) throw new UsageError(`--attribute: expected k=v, not "${text}"`)
    const [name, value] = [text.slice(0, at), text.slice(at + 1)]
    const before = attributes[name]
    const members = typeof before === 'object' ? before : []
    if (types[name] === 'Set<String>') attributes[name] = [...members, value]
    else if (types[name] === 'Long') attributes[name] = Number(value)
    else attributes[name] = types[name] === 'Bool' ? value === 'true' : value
  }
  return attributes
}

function leasesIn(texts: readonly string[], flag: string): WrittenLease[] {
  return texts.map((text) => {
    const [action = '', resource, ...more] = text.split('=')
    if (resource === undefined || more.length > 0)
      throw new UsageError(`${flag}: expected ACTION=RESOURCE, not "${text}"`)
    return { action, resource }
  })
}
