// Decisions made again: `policy simulate` against other policies, `audit replay` against the ones that made them.
import type { Command } from 'commander'
import type { FailOn } from '../admin/policy-simulate.js'
import { UsageError } from '../cli/exit-codes.js'
import { asUsage } from './as-usage.js'
import type { AddCommand, RunCommand } from './command-table.js'
import { collect, configOption } from './options.js'

interface SpanOptions {
  from?: string
  to?: string
  task?: string
}

interface ReplayOptions extends SpanOptions {
  config: string
  decision?: string
}

export function addReplayCommand(audit: Command, add: AddCommand): void {
  const replay = add(
    audit,
    'replay [directories...]',
    {
      summary: 'make recorded decisions again by the policies that made them: 0 all equal, 1 not and why',
      examples: [
        'hallpass audit replay --from 2031-05-06T00:00:00Z',
        'hallpass audit replay /mnt/gathered/audit-a /mnt/gathered/audit-b --output json',
      ],
    },
    runReplay,
  )
  withSpan(replay).addOption(configOption().default('./hallpass.yaml')).option('--decision <id>', 'only this decision')
}

/** A configuration that does not load is nothing unequal (1): no decision was made again. */
const runReplay: RunCommand<ReplayOptions> = async (io, directories, { config, decision, ...span }) => {
  const { replayAudit } = await import('../admin/audit-replay.js')
  const filter = { ...(await filterOf(span)), decision }
  try {
    return await replayAudit({ directories, config, env: io.environment, filter }, io.output)
  } catch (error) {
    throw await asUsage(error)
  }
}

function withSpan(command: Command): Command {
  return command
    .option('--from <time>', 'decisions of this time on, RFC 3339')
    .option('--to <time>', 'decisions up to this time')
    .option('--task <id>', 'decisions of this task')
}

async function filterOf({ from, to, task }: SpanOptions) {
  const { parseTime } = await import('../admin/recorded-decisions.js')
  return { from: parseTime(from, '--from'), to: parseTime(to, '--to'), task }
}

interface SimulateOptions extends SpanOptions {
  config: string
  candidate: string
  failOn?: string[]
  live?: boolean
  recorded?: string[] | true
  request?: string
  principal?: string
  action?: string
  resource?: string
  ttl?: string
  context?: string[]
  attribute?: string[]
}

export function addSimulateCommand(policy: Command, add: AddCommand): void {
  const simulate = add(
    policy,
    'simulate',
    {
      summary: 'what a candidate policy folder would change: 0 nothing, 1 something (--fail-on says what counts)',
      examples: [
        'hallpass policy simulate --candidate ./policies-next --recorded --from 2031-05-01T00:00:00Z --fail-on loss',
        'hallpass policy simulate --candidate ./policies-next --principal ci:repo:acme/web:ref:refs/heads/main --action deploy.run --resource repo:acme/web',
      ],
    },
    runSimulate,
  )
  withSpan(simulate)
    .addOption(configOption().default('./hallpass.yaml'))
    .requiredOption('--candidate <folder>', 'the policies to compare with those of the configuration')
    .option('--recorded [folders...]', "the decisions of these audit folders (default: the configuration's)")
    .option('--live', 'at the broker (HALLPASS_URL): which live leases would end, and who gains or loses (operators)')
    .option('--request <file>', 'one request, as JSON (see docs/simulate.md)')
    .option('--principal <issuer:subject>', 'one request: whose')
    .option('--action <action>', 'of --principal: which action')
    .option('--resource <resource>', 'of --principal: on what')
    .option('--ttl <duration>', 'of --principal: for how long')
    .option('--context <k=v>', 'of --principal: a declared value; k:=v for an integer or a boolean', collect)
    .option('--attribute <k=v>', 'of --principal: a verified attribute; k:=v for an integer or a boolean', collect)
    .option('--fail-on <kind>', 'loss, gain or change (any; the default); may be repeated', collect)
}

/** A candidate that does not load is no change (1): nothing was compared. */
const runSimulate: RunCommand<SimulateOptions> = async (...called) => {
  try {
    return await simulated(...called)
  } catch (error) {
    throw await asUsage(error)
  }
}

const simulated: RunCommand<SimulateOptions> = async (io, _, options) => {
  const { config, candidate, recorded, request, principal, live } = options
  const simulate = await import('../admin/policy-simulate.js')
  const command = { config, env: io.environment, candidate, failOn: failOnOf(options.failOn) }
  const sources = [recorded, request, principal, live].filter((one) => one !== undefined)
  if (sources.length !== 1)
    throw new UsageError('say what to simulate: one of --recorded, --live, --request and --principal')
  if (live) return await simulateLive(io, candidate, command.failOn)
  if (recorded !== undefined) {
    const span = { directories: recorded === true ? [] : recorded, filter: await filterOf(options) }
    return await simulate.simulateRecordedOnFiles(command, span, io.output)
  }
  const { readJsonFile } = await import('../admin/json-file.js')
  const asked = request === undefined ? await requestOf(options) : await readJsonFile(request, '--request')
  return await simulate.simulateRequestOnFiles(command, asked, io.output)
}

/** At the broker that HALLPASS_URL names. */
async function simulateLive(
  io: Parameters<RunCommand<object>>[0],
  candidate: string,
  failOn: FailOn[],
): Promise<number> {
  const [{ readPolicyFolder }, { tellCandidate }] = await Promise.all([
    import('../admin/policy.js'),
    import('../cli/candidate.js'),
  ])
  const { losses, gains, changes } = await tellCandidate(undefined, await readPolicyFolder(candidate), io)
  const counted = { loss: losses, gain: gains, change: losses + gains + changes }
  return failOn.some((kind) => counted[kind] > 0) ? 1 : 0
}

function failOnOf(kinds: readonly string[] = ['change']): FailOn[] {
  return kinds.map((kind) => {
    if (kind === 'loss' || kind === 'gain' || kind === 'change') return kind
    throw new UsageError(`--fail-on: expected loss, gain or change, not "${kind}"`)
  })
}

async function requestOf({ principal = '', action, resource, ttl, context, attribute }: SimulateOptions) {
  const { parseDuration, parsePairs } = await import('../cli/arguments.js')
  const colon = principal.indexOf(':')
  if (colon < 1) throw new UsageError(`--principal: expected issuer:subject, not "${principal}"`)
  if (action === undefined || resource === undefined)
    throw new UsageError('--principal: --action and --resource go with it')
  return {
    principal: {
      issuer: principal.slice(0, colon),
      subject: principal.slice(colon + 1),
      attributes: parsePairs(attribute ?? [], '--attribute'),
    },
    action,
    resource,
    context: parsePairs(context ?? [], '--context'),
    ...(ttl === undefined ? {} : { ttl_seconds: parseDuration(ttl, '--ttl') }),
  }
}
