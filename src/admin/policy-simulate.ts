// `hallpass policy simulate`: a candidate policy folder beside the one in force, on files alone: of one request, or of the
// decisions that audit folders hold.
import { type RequestSimulation, type SimulatedRequest, simulatedRequest } from '../api/simulate.js'
import type { ChangeKind } from '../broker/compare-verdicts.js'
import { simulateOne } from '../broker/simulate.js'
import type { SimulatedWorld } from '../broker/simulated-request.js'
import { UsageError } from '../cli/exit-codes.js'
import { schemaInputOf } from '../config/cross-checks.js'
import { loadConfig } from '../config/load.js'
import { loadPolicies } from '../config/load-policies.js'
import type { Settings } from '../config/schema.js'
import type { Environment } from '../config/yaml-source.js'
import { systemClock } from '../core/clock.js'
import { createCatalogue } from '../grants/catalogue.js'
import { createPolicyEngine, type PolicyEngine } from '../policy/engine.js'
import { createGroups } from '../policy/groups.js'
import { minTtlSeconds } from '../providers/floors.js'
import type { CommandOutput } from './command-output.js'
import { describeRecorded, describeRequest } from './describe-simulation.js'
import { simulateFolders } from './folder-simulation.js'
import type { DecisionFilter } from './recorded-decisions.js'

export type FailOn = 'loss' | 'gain' | 'change'

export interface PolicySimulateCommand {
  readonly config: string
  readonly env?: Environment
  /** The candidate's policy folder. */
  readonly candidate: string
  /** Which kinds of change make the exit code 1; `change` stands for any at all. */
  readonly failOn: readonly FailOn[]
}

/** One request, as `POST /v1/policy/simulate` takes it. Returns the exit code: 0 nothing (of --fail-on) changes, else 1. */
export async function simulateRequestOnFiles(
  command: PolicySimulateCommand,
  request: unknown,
  output: CommandOutput,
): Promise<number> {
  const { settings } = await loadConfig(command.config, command.env)
  const now = engineOf(settings, await loadPolicies(settings))
  const candidate = await candidateOf(settings, command.candidate)
  const result: RequestSimulation = simulateOne(worldOf(settings, now), parseRequest(request), candidate)
  output.print(result, describeRequest(result))
  return exitCodeOf(command.failOn, [result.change])
}

/** Decisions of audit folders; empty: the configuration's. Returns the exit code, as above. */
export async function simulateRecordedOnFiles(
  command: PolicySimulateCommand,
  { directories, filter }: { directories: readonly string[]; filter: DecisionFilter },
  output: CommandOutput,
): Promise<number> {
  const { settings } = await loadConfig(command.config, command.env)
  const candidate = await candidateOf(settings, command.candidate)
  const folders = directories.length > 0 ? directories : [settings.audit.directory]
  const result = await simulateFolders(folders, filter, candidate, output)
  output.print(result, describeRecorded(result))
  const kinds: [ChangeKind, number][] = [
    ['gain', result.gains],
    ['loss', result.losses],
    ['change', result.changes],
  ]
  return exitCodeOf(
    command.failOn,
    kinds.flatMap(([kind, count]) => (count > 0 ? [kind] : [])),
  )
}

/** Throws PolicySetError, with the files named as they are found from here. */
async function candidateOf(settings: Settings, folder: string): Promise<PolicyEngine> {
  return engineOf(settings, await loadPolicies({ ...settings, policies: folder }))
}

function engineOf(settings: Settings, policySet: Awaited<ReturnType<typeof loadPolicies>>): PolicyEngine {
  return createPolicyEngine({ policySet, grants: settings.grants, groups: createGroups(settings.groups) })
}

function worldOf(settings: Settings, policy: PolicyEngine): SimulatedWorld {
  return {
    rules: {
      policy,
      catalogue: createCatalogue(settings.grants, settings.resources),
      limits: settings.limits,
      issuerTypes: schemaInputOf(settings).issuers,
    },
    now: systemClock.now(),
    minTtlSecondsOf({ provider }) {
      const type = settings.providers[provider]?.type
      return type === undefined ? 1 : minTtlSeconds[type]
    },
  }
}

function parseRequest(value: unknown): SimulatedRequest {
  const parsed = simulatedRequest.safeParse(value)
  if (parsed.success) return parsed.data
  const said = parsed.error.issues.map(({ path, message }) => `${path.map(String).join('.') || 'request'}: ${message}`)
  throw new UsageError(`the request is not well formed: ${said.join('; ')}`)
}

function exitCodeOf(failOn: readonly FailOn[], found: readonly ChangeKind[]): number {
  const fails = found.some((kind) => kind !== 'none' && (failOn.includes('change') || failOn.includes(kind)))
  return fails ? 1 : 0
}
