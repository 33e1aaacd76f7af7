// Replay of recorded decisions (I10): real records in a real chain, made again by the set that is kept by its hash, beside
// deciding the same inputs without any record.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { replayDecisions } from '../../src/admin/audit-replay.js'
import { openAuditLog } from '../../src/audit/audit-log.js'
import { decisionRecord } from '../../src/broker/refusal.js'
import { systemClock } from '../../src/core/clock.js'
import { createId } from '../../src/core/ids.js'
import type { DecisionInput } from '../../src/policy/decision.js'
import { createPolicyEngine, type PolicyEngine } from '../../src/policy/engine.js'
import { createGroups } from '../../src/policy/groups.js'
import { keepPolicySet } from '../../src/policy/kept-sets.js'
import { asTakenThen, type PolicySet, parsePolicySet } from '../../src/policy/policy-set.js'

export interface Replay {
  readonly decisions: number
  readonly policies: number
  readonly seconds: number
  readonly equal: boolean
  /** The same inputs decided without reading or comparing anything. */
  readonly plainSeconds: number
}

const teams = 25
const actions = ['repo.plan', 'repo.build', 'repo.merge', 'repo.tag']

export async function measureReplay(decisions: number): Promise<Replay> {
  const directory = mkdtempSync(join(tmpdir(), 'hallpass-replay-'))
  try {
    const files = { 'bench.cedar': policies.join('\n') }
    const set = await parsePolicySet(files, asTakenThen)
    const names = Array.from({ length: teams }, (_, i) => `team-${i}`)
    const groups = createGroups(Object.fromEntries(names.map((name) => [name, [`ci:${name}`]])))
    const grants = Object.fromEntries(
      actions.map((action) => [action, { access: 'write' as const, resourceType: 'repo' }]),
    )
    const engine = createPolicyEngine({ policySet: set, grants, groups })
    const inputs = Array.from({ length: decisions }, (_, i) => inputOf(i))
    await record(directory, set, engine, inputs)
    const plainSeconds = await timed(async () => {
      for (const input of inputs) engine.decide(input, bounds)
    })
    let equal = false
    const seconds = await timed(async () => {
      const result = await replayDecisions([directory], {}, { note: () => undefined })
      equal = result.ok && result.equal === decisions
    })
    return { decisions, policies: set.policies.length, seconds, equal, plainSeconds }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function record(
  directory: string,
  set: PolicySet,
  engine: PolicyEngine,
  inputs: readonly DecisionInput[],
): Promise<void> {
  const signCheckpoint = async (claims: object) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`
  const log = await openAuditLog({
    directory,
    instance: 'bench',
    program: 'dev',
    clock: systemClock,
    signCheckpoint,
    waitMs: 60_000,
  })
  try {
    await keepPolicySet(log.directory, set)
    for (let from = 0; from < inputs.length; from += 500) {
      await Promise.all(inputs.slice(from, from + 500).map((input) => log.append(recordOf(engine, input))))
    }
  } finally {
    await log.close()
  }
}

function recordOf(engine: PolicyEngine, input: DecisionInput) {
  const standing = engine.standingOf(input)
  const verdict = engine.decideAs(standing, input, bounds)
  const { effect, policies: determining } = verdict
  const id = createId('dec', systemClock.now())
  const decision = { id, effect, policies: determining, policySet: engine.hash }
  const decided = { decision, verdict, input, own: { bounds, standing }, above: [], deniedBy: null, ceilings: [] }
  const { id: principal, account } = input.principal
  return { event: 'decision.denied' as const, principal, account, decision: decisionRecord(decided) }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (performance.now() - startedAt) / 1000
}

const policies = Array.from({ length: teams }, (_, team) =>
  actions.map((action, i) =>
    i < 3
      ? `@id("team-${team}-${i}") @max_ttl("15m") permit (principal in Group::"team-${team}", action == Action::"${action}", resource is Repo) when { resource has sensitivity && resource.sensitivity == "low" && principal has ref && principal.ref == "refs/heads/main" };`
      : `@id("team-${team}-${i}") forbid (principal in Group::"team-${team}", action == Action::"${action}", resource) when { context.account.active_leases > 2 };`,
  ),
).flat()

const bounds = {
  ttlSeconds: 600,
  minTtlSeconds: 1,
  binding: 'none' as const,
  require: { approval: null, binding: null, maxTtlSeconds: null },
}

const held = (activeLeases: number) => ({
  activeLeases,
  holding: ['repo.plan'],
  holdingAccess: ['write'],
  holdingResources: ['repo:acme/web'],
  granted: ['repo.plan', 'repo.build'],
  grantedAccess: ['write'],
  grantedResources: ['repo:acme/web'],
})

function inputOf(i: number): DecisionInput {
  const subject = `team-${i % teams}`
  return {
    principal: {
      id: `ci:${subject}`,
      issuer: 'ci',
      subject,
      use: 'workload',
      attributes: { ref: i % 7 === 0 ? 'refs/heads/fix' : 'refs/heads/main' },
      account: `ci:${subject}`,
      instance: `run-${i}`,
      sessionSeconds: 28_800,
      binding: 'none',
      person: null,
      tokenSha256: '0'.repeat(64),
      tokenExpiresAt: 1_900_000_000,
    },
    action: actions[Math.floor(i / teams) % actions.length] ?? '',
    resource: { id: 'repo:acme/web', type: 'repo', attributes: { sensitivity: 'low' } },
    requestedTtlSeconds: 600,
    declared: {},
    task: { ageSeconds: i % 600, depth: 0, activeLeases: i % 3 },
    session: held(i % 4),
    account: held(i % 5),
    recentDenials: i % 3,
    escalation: false,
    binding: 'none',
    now: 1_800_000_000_000 + i * 10,
  }
}
