// Decisions in this process: the product's own engine over ever larger policy sets, without HTTP, Redis or disk.
import type { Grant } from '../../src/grants/grant.js'
import type { Principal } from '../../src/identity/principal.js'
import { preparsePolicySet, statefulIsAuthorized } from '../../src/policy/cedar.js'
import type { DecisionInput } from '../../src/policy/decision.js'
import { createPolicyEngine, type PolicyEngine } from '../../src/policy/engine.js'
import { createGroups } from '../../src/policy/groups.js'
import { parsePolicySet } from '../../src/policy/policy-set.js'
import { generateSchema } from '../../src/policy/schema.js'

export interface Decisions {
  readonly policies: number
  readonly actions: number
  /** Every caller has an attribute that was never seen, of those that policies read: each question is Cedar's. */
  readonly unseen: DecisionTimes
  /** Callers of before with other counts of leases and denials, as pipelines ask. */
  readonly counts: DecisionTimes
  /** Exactly what was asked before. */
  readonly again: DecisionTimes
  /** Cedar alone: one parsed policy and a request as these, without anything around it. */
  readonly cedar: DecisionTimes
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
  const inputAt = (i: number) => inputs[(i * 13) % inputs.length] ?? inputOf(0, '')
  const decideEach = (inputFor: (turn: number) => DecisionInput) =>
    timeEach(seconds / 4, (i) => {
      const input = inputFor(i)
      return () => void engine.decide(input, bounds)
    })
  const again = decideEach(inputAt)
  // What the forbids look at runs on, within what they let pass.
  const counts = decideEach((i) => {
    const account = { ...holdings, activeLeases: Math.floor(i / 40) % 500 }
    return { ...inputAt(i), recentDenials: i % 40, account }
  })
  const unseen = decideEach((i) => {
    const input = inputAt(i)
    return { ...input, principal: { ...input.principal, attributes: { ref: `refs/heads/${i}` } } }
  })
  return { policies, actions, loadMs, unseen, counts, again, cedar: timeEach(seconds / 4, askCedar()) }
}

/** A team's ten: with more actions than that, teams share them by turns. */
const actionsOf = (team: number, actions: number) =>
  Array.from({ length: actionsPerTeam }, (_, i) => allActions[(team * actionsPerTeam + i) % actions] ?? '')

/** `prepare` makes what is measured for each turn. */
function timeEach(seconds: number, prepare: (turn: number) => () => void): DecisionTimes {
  const times: number[] = []
  const start = performance.now()
  for (let i = 0; performance.now() - start < seconds * 1000; i++) {
    const work = prepare(i)
    const before = performance.now()
    work()
    times.push(performance.now() - before)
  }
  const sorted = Float64Array.from(times).sort()
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0
  return { perSecond: times.length / ((performance.now() - start) / 1000), p50Ms: at(0.5), p99Ms: at(0.99) }
}

function askCedar(): (turn: number) => () => void {
  const policy =
    'permit (principal in Group::"g", action == Action::"a", resource is Repo) when { principal.ref == "main" };'
  const parsed = preparsePolicySet('bench-floor', { staticPolicies: { floor: policy } })
  if (parsed.type === 'failure') throw new Error('Cedar does not take the policy of the floor')
  const [principal, action, resource] = [
    { type: 'Workload', id: 'ci:team' },
    { type: 'Action', id: 'a' },
    { type: 'Repo', id: 'repo:acme/web' },
  ]
  return (turn) => {
    const request = {
      principal,
      action,
      resource,
      context: { recent_denials: turn % 40, account: { active_leases: 3 }, session: { granted: ['a', 'b'] } },
      preparsedPolicySetId: 'bench-floor',
      validateRequest: false,
      entities: [
        { uid: principal, attrs: { ref: `main-${turn}` }, parents: [{ type: 'Group', id: 'g' }] },
        { uid: action, attrs: {}, parents: [{ type: 'Action', id: 'write' }] },
        { uid: resource, attrs: { sensitivity: 'low' }, parents: [] },
      ],
    }
    return () => {
      if (statefulIsAuthorized(request).type === 'failure')
        throw new Error('Cedar does not take the request of the floor')
    }
  }
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
