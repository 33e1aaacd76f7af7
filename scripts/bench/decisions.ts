// Decisions in this process: the product's own engine over ever larger policy sets, without HTTP, Redis or disk.
import type { Grant } from '../../src/grants/grant.js'
import type { Principal } from '../../src/identity/principal.js'
import type { DecisionInput } from '../../src/policy/decision.js'
import { createPolicyEngine, type PolicyEngine } from '../../src/policy/engine.js'
import { createGroups } from '../../src/policy/groups.js'
import { parsePolicySet } from '../../src/policy/policy-set.js'
import { generateSchema } from '../../src/policy/schema.js'

export interface Decisions {
  readonly policies: number
  readonly actions: number
  /** Every question is one that was never asked. */
  readonly fresh: DecisionTimes
  /** Questions of before, as pipelines ask them. */
  readonly again: DecisionTimes
  readonly loadMs: number
}

export interface DecisionTimes {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const verbs = ['plan', 'build', 'test', 'scan', 'publish', 'review', 'merge', 'tag', 'notify', 'clean']
const nouns = ['repo', 'image', 'chart', 'module', 'site', 'library', 'schema', 'report', 'mirror', 'archive']
const allActions = nouns.flatMap((noun) => verbs.map((verb) => `${noun}.${verb}`))
const actionsPerTeam = verbs.length
const permitsPerTeam = actionsPerTeam - 1

/**
 * A set as it grows in a company: each team has nine permits of its own, each on one action, and one forbid on the tenth; four
 * forbids hold for all. Requests come from all teams in turn and take every action. `seconds` per size.
 */
export async function measureDecisions(
  policies: number,
  seconds: number,
  actions = actionsPerTeam,
): Promise<Decisions> {
  const teams = Math.max(1, Math.ceil((policies - 4) / actionsPerTeam))
  const startedAt = performance.now()
  const engine = await createEngine(teams, policies, actions)
  const loadMs = performance.now() - startedAt
  const inputs = Array.from({ length: 2000 }, (_, i) => {
    const team = i % teams
    return inputOf(team, actionsOf(team, actions)[(i * 7 + Math.floor(i / teams)) % actionsPerTeam] ?? '')
  })
  const effects = new Set<string>()
  for (const input of inputs) effects.add(engine.decide(input, bounds).effect)
  if (!effects.has('permit') || !effects.has('deny')) throw new Error('these policies do not tell requests apart')
  const again = timeEach(engine, (i) => inputs[(i * 13) % inputs.length], seconds / 2)
  // What the forbids look at runs on, within what they let pass: nothing was asked before.
  const fresh = timeEach(
    engine,
    (i) => {
      const input = inputs[(i * 13) % inputs.length]
      const account = { ...holdings, activeLeases: Math.floor(i / 40) % 500 }
      return input && { ...input, recentDenials: i % 40, account }
    },
    seconds / 2,
  )
  return { policies, actions, loadMs, fresh, again }
}

/** A team's ten: with more actions than that, teams share them by turns. */
const actionsOf = (team: number, actions: number) =>
  Array.from({ length: actionsPerTeam }, (_, i) => allActions[(team * actionsPerTeam + i) % actions] ?? '')

function timeEach(
  engine: PolicyEngine,
  inputFor: (turn: number) => DecisionInput | undefined,
  seconds: number,
): DecisionTimes {
  const times: number[] = []
  const start = performance.now()
  for (let i = 0; performance.now() - start < seconds * 1000; i++) {
    const input = inputFor(i)
    if (!input) continue
    const before = performance.now()
    engine.decide(input, bounds)
    times.push(performance.now() - before)
  }
  const sorted = Float64Array.from(times).sort()
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0
  return { perSecond: times.length / ((performance.now() - start) / 1000), p50Ms: at(0.5), p99Ms: at(0.99) }
}

async function createEngine(teams: number, policies: number, actions: number): Promise<PolicyEngine> {
  const names = Array.from({ length: teams }, (_, i) => `team-${i}`)
  const groups = createGroups(Object.fromEntries(names.map((name) => [name, [`ci:${name}`]])))
  const text = [...common, ...names.flatMap((name, team) => policiesOf(name, actionsOf(team, actions)))]
    .slice(0, policies)
    .join('\n')
  const grants = Object.fromEntries(allActions.slice(0, actions).map((action) => [action, grantOf(action)]))
  const schema = generateSchema({
    issuers: { ci: { use: 'workload', attributes: { ref: 'String' } } },
    grants,
    resources: [{ pattern: 'repo:acme/web', type: 'repo', placeholders: [], attributes: { sensitivity: 'low' } }],
  })
  const policySet = await parsePolicySet({ 'bench.cedar': text }, { schema, groups: groups.names })
  return createPolicyEngine({ policySet, grants, groups })
}

const grantOf = (action: string): Grant => ({
  action,
  access: 'write',
  resourceType: 'repo',
  provider: 'tokens',
  ttl: { defaultSeconds: 300, maxSeconds: 900 },
  context: {},
  standing: false,
  require: bounds.require,
  recipe: {},
  env: {},
})

const common = [
  '@id("c1") forbid (principal, action in Action::"write", resource) when { context.recent_denials > 50 };',
  '@id("c2") forbid (principal, action in Action::"write", resource) when { context.session.granted.contains("repo.merge") };',
  '@id("c3") forbid (principal, action in Action::"write", resource) when { context.account.active_leases > 500 };',
  '@id("c4") forbid (principal, action in Action::"write", resource) when { resource has sensitivity && resource.sensitivity == "critical" };',
]

const policiesOf = (team: string, actions: readonly string[]) =>
  actions.map((action, i) =>
    i < permitsPerTeam
      ? `@id("${team}-${i}") @max_ttl("15m") permit (principal in Group::"${team}", action == Action::"${action}", resource is Repo) when { resource has sensitivity && resource.sensitivity == "low" && principal has ref && principal.ref == "refs/heads/main" };`
      : `@id("${team}-${i}") forbid (principal in Group::"${team}", action == Action::"${action}", resource);`,
  )

const holdings = {
  activeLeases: 3,
  holding: ['repo.plan'],
  holdingAccess: ['write'],
  holdingResources: ['repo:acme/web'],
  granted: ['repo.plan', 'repo.build'],
  grantedAccess: ['write'],
  grantedResources: ['repo:acme/web'],
}
const bounds = {
  ttlSeconds: 600,
  minTtlSeconds: 1,
  binding: 'none' as const,
  require: { approval: null, binding: null, maxTtlSeconds: null },
}

function inputOf(team: number, action: string): DecisionInput {
  return {
    principal: principalOf(`team-${team}`),
    action,
    resource: { id: 'repo:acme/web', type: 'repo', attributes: { sensitivity: 'low' } },
    requestedTtlSeconds: 600,
    declared: {},
    task: { ageSeconds: 5, depth: 0, activeLeases: 1 },
    session: holdings,
    account: holdings,
    recentDenials: 0,
    escalation: false,
    binding: 'none',
    now: 1_800_000_000_000,
  }
}

const principalOf = (subject: string): Principal => ({
  id: `ci:${subject}`,
  issuer: 'ci',
  subject,
  use: 'workload',
  attributes: { ref: 'refs/heads/main' },
  account: `ci:${subject}`,
  instance: null,
  sessionSeconds: 28_800,
  binding: 'none',
  person: null,
  tokenSha256: '',
  tokenExpiresAt: 1_900_000_000,
})
