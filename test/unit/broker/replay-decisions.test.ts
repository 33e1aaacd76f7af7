// I10: a recorded decision replays to the same answer, from the audit's files alone.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { replayDecisions } from '../../../src/admin/audit-replay.js'
import { type AuditLog, openAuditLog } from '../../../src/audit/audit-log.js'
import { listChains, readRecords } from '../../../src/audit/read-records.js'
import { readDecision } from '../../../src/broker/recorded-decision.js'
import { decisionRecord } from '../../../src/broker/refusal.js'
import { systemClock } from '../../../src/core/clock.js'
import { createId } from '../../../src/core/ids.js'
import type { DecisionInput, OfferBounds } from '../../../src/policy/decision.js'
import { createPolicyEngine, type PolicyEngine } from '../../../src/policy/engine.js'
import { createGroups } from '../../../src/policy/groups.js'
import { keepPolicySet } from '../../../src/policy/kept-sets.js'
import { parsePolicySet } from '../../../src/policy/policy-set.js'
import { exampleInput, loadExample, wideBounds, workload } from '../../support/example-config.js'

type Example = Awaited<ReturnType<typeof loadExample>>
const quiet = { note: () => undefined }
let example: Example
/** The example's own set, and another one: both were in force when decisions were made. */
let engines: PolicyEngine[]
let sets: Example['policySet'][]
beforeAll(async () => {
  example = await loadExample()
  const { settings } = example
  const rules = { schema: example.schema, groups: new Set(Object.keys(settings.groups)) }
  const other = `@id("all-short") @max_ttl("2m") permit (principal, action in Action::"read", resource);
@id("none-deploys") forbid (principal, action == Action::"deploy.run", resource) unless { context.recent_denials == 0 };`
  sets = [example.policySet, await parsePolicySet({ 'other.cedar': other }, rules)]
  engines = sets.map((policySet) =>
    createPolicyEngine({ policySet, grants: settings.grants, groups: createGroups(settings.groups) }),
  )
})

const folders: string[] = []
const logs: AuditLog[] = []
afterAll(async () => {
  for (const log of logs) await log.close()
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})

async function openAudit(): Promise<{ directory: string; log: AuditLog }> {
  const directory = await mkdtemp(join(tmpdir(), 'hallpass-replay-'))
  folders.push(directory)
  const signCheckpoint = async (claims: object) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`
  const options = { directory, instance: 'one', program: 'dev', clock: systemClock, signCheckpoint } as const
  // The disk of a busy machine stands still for seconds at times.
  const log = await openAuditLog({ ...options, waitMs: 15_000 })
  logs.push(log)
  return { directory, log }
}

/** As `decide` records it. */
function decided(engine: PolicyEngine, input: DecisionInput, bounds: OfferBounds) {
  const standing = engine.standingOf(input)
  const verdict = engine.decideAs(standing, input, bounds)
  const { effect, policies } = verdict
  const decision = { id: createId('dec', systemClock.now()), effect, policies, policySet: engine.hash }
  return { decision, verdict, input, own: { bounds, standing }, above: [], deniedBy: null, ceilings: [] }
}

async function write(log: AuditLog, record: ReturnType<typeof decided>): Promise<void> {
  await log.append({ event: 'decision.denied', principal: 'ci:x', decision: decisionRecord(record) })
}

const subjects = ['repo:acme/web:ref:refs/heads/main', 'spiffe://prod.acme.example/agent/olga/query', 'x', '"é\\\u2028']
const attributeSets = fc.record(
  {
    repository: fc.constantFrom('acme/web', 'acme/api'),
    repository_id: fc.constantFrom('1296269', '7'),
    ref: fc.constantFrom('refs/heads/main', 'refs/heads/é"\\'),
    event_name: fc.constantFrom('push', 'pull_request'),
    environment: fc.constant('production'),
    actor_id: fc.string({ unit: 'binary', maxLength: 8 }),
  },
  { requiredKeys: [] },
)
const principals = fc
  .tuple(fc.constantFrom('ci', 'prod', 'cluster'), fc.constantFrom(...subjects), attributeSets)
  .map(([issuer, subject, attributes]) => workload(issuer, subject, attributes))
const held = () =>
  fc.record({
    activeLeases: fc.nat(20),
    holding: fc.subarray(['deploy.run', 'database.migrate', 'object.read']),
    holdingAccess: fc.subarray(['read', 'write', 'deploy']),
    holdingResources: fc.subarray(['repo:acme/web', 'database:orders']),
    granted: fc.subarray(['deploy.run', 'database.migrate', 'secrets.read']),
    grantedAccess: fc.subarray(['read', 'write', 'deploy']),
    grantedResources: fc.subarray(['repo:acme/web', 'database:orders']),
  })
const binding = () => fc.constantFrom('none' as const, 'dpop' as const, 'mtls' as const)

const decisions = () => {
  const actions = Object.values(example.settings.grants)
  const resources = ['repo:acme/web', 'repo:acme/api', 'database:orders', 'bucket:reports']
    .map((id) => example.catalogue.findResource(id))
    .filter((one) => one !== undefined)
  return fc.record({
    which: fc.nat(1),
    principal: fc.oneof(principals, fc.constant(exampleInput().principal)),
    asked: fc.constantFrom(
      ...actions.flatMap((grant) =>
        resources.filter(({ type }) => type === grant.resourceType).map((resource) => ({ grant, resource })),
      ),
    ),
    ttl: fc.integer({ min: 1, max: 7200 }),
    min: fc.constantFrom(1, 60, 301),
    declared: fc.dictionary(
      fc.constantFrom('change_type', 'ticket', 'branch'),
      fc.constantFrom('schema', 'OPS-1', 'é'),
    ),
    session: held(),
    account: held(),
    recentDenials: fc.nat(60),
    escalation: fc.boolean(),
    binding: binding(),
    now: fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 }),
  })
}

type Drawn = ReturnType<typeof decisions> extends fc.Arbitrary<infer R> ? R : never

function decidedOf({ which, principal, asked: { grant, resource }, ttl, min, binding: bound, ...rest }: Drawn) {
  const engine = engines[which]
  if (engine === undefined) throw new Error('no such set')
  const input = exampleInput({
    ...rest,
    principal: { ...principal, binding: bound },
    action: grant.action,
    resource,
    requestedTtlSeconds: ttl,
    binding: bound,
  })
  const bounds = { ...wideBounds, ttlSeconds: ttl, minTtlSeconds: min, binding: bound, require: grant.require }
  return decided(engine, input, bounds)
}

test('whatever was decided replays to the same answer', async () => {
  const { directory, log } = await openAudit()
  for (const set of sets) await keepPolicySet(log.directory, set)
  const effects = new Set<string>()
  let written = 0
  const decideAndWrite = async (drawn: Drawn) => {
    const record = decidedOf(drawn)
    effects.add(record.verdict.effect)
    written++
    await write(log, record)
  }
  await fc.assert(
    fc.asyncProperty(fc.array(decisions(), { minLength: 20, maxLength: 60 }), async (many) => {
      await Promise.all(many.map(decideAndWrite))
    }),
    { numRuns: 20 },
  )
  // Few of those want an approval, by chance none: what follows is the same each time.
  effects.clear()
  const drawn = fc.sample(decisions(), { numRuns: 1000, seed: 7 })
  // As many at once as above: a thousand decided in one go would keep a busy machine from its disk for longer than an append waits.
  for (let i = 0; i < drawn.length; i += 50) await Promise.all(drawn.slice(i, i + 50).map(decideAndWrite))
  const result = await replayDecisions([directory], {}, quiet)
  expect(result).toMatchObject({ ok: true, decisions: written, equal: written, unequal: [], problems: [] })
  // Or else this would show nothing.
  expect([...effects].sort()).toEqual(['approval_required', 'deny', 'permit'])
})

describe('what does not replay is said', () => {
  const one = () => decided(engines[0] as PolicyEngine, exampleInput({}), wideBounds)

  test('a set that is not kept, one that was altered, and one that another folder has', async () => {
    const { directory, log } = await openAudit()
    const record = one()
    await write(log, record)
    expect(await replayDecisions([directory], {}, quiet)).toMatchObject({
      ok: false,
      equal: 0,
      unequal: [{ decision: record.decision.id, why: 'set_missing', detail: example.policySet.hash }],
    })
    await keepPolicySet(log.directory, example.policySet)
    const file = join(log.directory, 'policy-sets', `${example.policySet.hash}.json`)
    const text = readFileSync(file, 'utf8')
    writeFileSync(file, text.replace('forbid', 'permit'))
    expect((await replayDecisions([directory], {}, quiet)).unequal).toMatchObject([{ why: 'set_altered' }])
    const elsewhere = await openAudit()
    await keepPolicySet(elsewhere.log.directory, example.policySet)
    await elsewhere.log.append({ event: 'broker.started' })
    expect(await replayDecisions([directory, elsewhere.directory], {}, quiet)).toMatchObject({ ok: true, equal: 1 })
    // A start writes what is not whole again; one chain's folder has its own.
    await keepPolicySet(log.directory, example.policySet)
    expect(await replayDecisions([join(directory, 'one-dev')], {}, quiet)).toMatchObject({ ok: true, equal: 1 })
  })

  test('one flipped attribute: the record is named as altered, with the member that differs', async () => {
    const { directory, log } = await openAudit()
    await keepPolicySet(log.directory, example.policySet)
    const record = one()
    expect(record.verdict.effect).toBe('permit')
    await write(log, record)
    await write(log, one())
    await log.close()
    const chain = join(directory, 'one-dev')
    const [segment = ''] = readdirSync(chain).filter((name) => /^\d+\.jsonl$/.test(name))
    const [first = '', ...rest] = readFileSync(join(chain, segment), 'utf8').split('\n')
    const flipped = first.replaceAll('"issuer":"prod"', '"issuer":"ci"')
    expect(flipped).not.toBe(first)
    writeFileSync(join(chain, segment), [flipped, ...rest].join('\n'))
    const result = await replayDecisions([directory], {}, quiet)
    expect(result).toMatchObject({ ok: false, decisions: 2, equal: 1, by_reason: { altered: 1 } })
    expect(result.unequal).toMatchObject([
      {
        decision: record.decision.id,
        seq: 1,
        why: 'altered',
        differences: expect.arrayContaining([{ member: 'effect', before: 'permit', after: 'deny' }]),
      },
    ])
    expect(result.problems).toHaveLength(1)
  })

  test('a decision that names another set: the members that differ', async () => {
    const { directory, log } = await openAudit()
    for (const set of sets) await keepPolicySet(log.directory, set)
    const record = one()
    await write(log, { ...record, decision: { ...record.decision, policySet: sets[1]?.hash ?? '' } })
    const { ok, unequal } = await replayDecisions([directory], {}, quiet)
    expect(ok).toBe(false)
    expect(unequal).toMatchObject([{ decision: record.decision.id, why: 'differs' }])
    expect(unequal[0]?.differences.map(({ member }) => member)).toContain('policies')
  })

  test('a record of before the basis was kept, a decision of no form, and nothing at all', async () => {
    const { directory, log } = await openAudit()
    await keepPolicySet(log.directory, example.policySet)
    expect(await replayDecisions([directory], {}, quiet).catch((error: Error) => error.message)).toMatch(
      /no audit here/,
    )
    const { bounds: _, ...older } = decisionRecord(one()) as Record<string, never>
    await log.append({ event: 'decision.denied', decision: older })
    await log.append({ event: 'decision.denied', decision: { input: 1 } })
    const result = await replayDecisions([directory], {}, quiet)
    expect(result.unequal.map(({ why }) => why)).toEqual(['incomplete', 'unreadable'])
    expect(await replayDecisions([directory], { task: 'task_x' }, quiet)).toMatchObject({ ok: false, decisions: 0 })
  })

  test('only the decision, the task and the span that were asked for', async () => {
    const { directory, log } = await openAudit()
    await keepPolicySet(log.directory, example.policySet)
    const records = [one(), one(), one()]
    for (const record of records) {
      const decision = decisionRecord(record)
      await log.append({ event: 'decision.denied', task: `task_${record.decision.id}`, decision })
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const [, second] = records
    const count = async (filter: object) => (await replayDecisions([directory], filter, quiet)).decisions
    expect(await count({ decision: second?.decision.id })).toBe(1)
    expect(await count({ task: `task_${second?.decision.id}` })).toBe(1)
    const [folder = ''] = (await listChains(directory)).values()
    const times: number[] = []
    for await (const record of readRecords(folder)) {
      expect(readDecision(record)).toMatchObject({ policySet: example.policySet.hash })
      times.push(Date.parse(record.time))
    }
    expect(await count({ from: times[1], to: times[1] })).toBe(1)
    expect(await count({ to: (times[0] ?? 0) - 1 })).toBe(0)
  })
})
