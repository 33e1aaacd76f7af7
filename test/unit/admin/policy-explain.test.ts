import { appendFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { canonicalJson } from '../../../src/core/canonical-json.js'
import { sha256Hex } from '../../../src/core/hash.js'
import { keepPolicySet } from '../../../src/policy/kept-sets.js'
import { runHallpass } from '../../support/command-line.js'
import { type ExampleFolder, exampleEnv, writeExample } from '../../support/example-config.js'

let example: ExampleFolder
beforeEach(() => {
  example = writeExample()
})
afterEach(() => example.remove())

const deployer = 'prod:spiffe://prod.acme.example/ns/ci/sa/deployer'
const explain = (principal: string, action: string, resource: string, ...more: string[]) => {
  const asked = ['--principal', principal, '--action', action, '--resource', resource, ...more]
  return runHallpass(['policy', 'explain', ...asked, '--config', example.file], { environment: exampleEnv })
}
const explained = async (...asked: Parameters<typeof explain>) => {
  const { exitCode, stdout, stderr } = await explain(...asked, '--output', 'json')
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  return JSON.parse(stdout)
}
const addPolicies = (text: string) => appendFileSync(join(example.folder, 'policies', 'main.cedar'), text)

describe('policy explain', () => {
  test('of a denial: the nearest permits, what of them does not hold, and the values that it was measured by', async () => {
    const { stdout } = await explain(deployer, 'settings.read', 'repo:acme/web')
    expect(stdout).toContain(`denied (no_permit): settings.read on repo:acme/web for ${deployer}`)
    expect(stdout).toContain(
      `  pipelines-read-their-own-repository  ${join(example.folder, 'policies', 'main.cedar')}:5\n`,
    )
    expect(stdout).toMatch(/ {4}yes +action == Action::"settings\.read"\n/)
    expect(stdout).toMatch(/ {4}no +principal has repository +principal\.repository: absent\n/)
    // Behind what does not hold nobody asks: no error of its own.
    expect(stdout).toMatch(
      / {4}unread +principal\.repository == resource\.id +principal\.repository: absent, resource\.id: "acme\/web"\n/,
    )
  })

  test('of a permit: who gave it, what was taken, and every step that shortened its lifetime', async () => {
    addPolicies('@id("brief") @max_ttl("1m") permit (principal, action == Action::"database.query", resource);\n')
    addPolicies(
      '@id("asks-two") @approval("dba:2") permit (principal, action == Action::"database.query", resource);\n',
    )
    addPolicies('@id("bound") @binding("mtls") permit (principal, action == Action::"database.query", resource);\n')
    const answer = await explained(deployer, 'database.query', 'database:orders', '--ttl', '2h')
    expect(answer.outcome).toMatchObject({ effect: 'permit', offer: 'agents-query-orders', ttl_seconds: 300 })
    expect(
      Object.fromEntries(answer.offers.map((one: { policy: string; fate: string }) => [one.policy, one.fate])),
    ).toEqual({
      'agents-query-orders': 'taken',
      brief: 'shorter',
      'asks-two': 'more_approvers',
      bound: 'binding_unmet',
    })
    expect(answer.lifetime).toEqual([
      { by: 'asked', seconds: 7200 },
      { by: "the grant's ttl.max", seconds: 1800 },
      { by: '@max_ttl of agents-query-orders', seconds: 300 },
    ])
  })

  test('of a forbid: it, and not the permit that it overrides', async () => {
    const asked = [
      deployer,
      'deploy.run',
      'repo:acme/web',
      '--binding',
      'dpop',
      '--granted',
      'database.migrate=database:orders',
    ] as const
    const { stdout } = await explain(...asked)
    expect(stdout).toMatch(/^denied \(forbidden\): /)
    expect(stdout).toMatch(
      /yes +context\.session\.granted\.contains\("database\.migrate"\) +context\.session\.granted: \["database\.migrate"\]/,
    )
    expect(stdout).not.toContain('deploys-are-bound')
    expect((await explained(...asked)).determining).toMatchObject([
      { id: 'no-deploy-after-database-writes', effect: 'forbid' },
    ])
  })

  test('of a policy that errs: which condition, and on what', async () => {
    addPolicies(
      '@id("errs") forbid (principal, action == Action::"config.read", resource) when { context.requested_ttl_seconds * 9223372036854775807 < 0 };\n',
    )
    const answer = await explained(deployer, 'config.read', 'database:orders')
    expect(answer.outcome).toMatchObject({ effect: 'deny', reason: 'policy_error' })
    expect(answer.determining).toMatchObject([
      { id: 'errs', parts: [{ holds: 'yes' }, { holds: 'error', values: { 'context.requested_ttl_seconds': 300 } }] },
    ])
  })

  test('of a missing binding: the offers that fell away', async () => {
    const answer = await explained(deployer, 'deploy.run', 'repo:acme/web')
    expect(answer.outcome).toMatchObject({ effect: 'deny', code: 'binding_required' })
    expect(answer.offers).toMatchObject([{ policy: 'deploys-are-bound', binding: 'any', fate: 'binding_unmet' }])
  })

  test('of an operator: the same', async () => {
    const { stdout } = await explain(
      'staff:olga',
      'operate.approve',
      'database:orders',
      '--attribute',
      'roles=sre',
      '--attribute',
      'roles=ops',
    )
    expect(stdout).toMatch(
      /dba-approves-database-changes .*\n {4}no +principal in Group::"dba" +principal: "staff:olga", groups: \["on-call"\]/,
    )
  })

  test('a value cannot look like our own words', async () => {
    const { stdout } = await explain(
      'ci:x',
      'settings.read',
      'repo:acme/web',
      '--attribute',
      'repository=a\u202eb\n  yes everything',
    )
    expect(stdout).toContain('principal.repository: "a\\u202eb\\n  yes everything"')
  })

  test.each([
    ['nothing to explain', ['--action', 'config.read'], /say what to explain/],
    [
      'an issuer that is not there',
      ['--principal', 'x:y', '--action', 'config.read', '--resource', 'database:orders'],
      /principal\.issuer: x is not in issuers:/,
    ],
    [
      'a lease that is none',
      ['--principal', deployer, '--action', 'config.read', '--resource', 'database:orders', '--held', 'x'],
      /--held: expected ACTION=RESOURCE/,
    ],
    [
      'a binding that is none',
      ['--principal', deployer, '--action', 'config.read', '--resource', 'database:orders', '--binding', 'tls'],
      /binding/,
    ],
    [
      'a depth that is none',
      ['--principal', deployer, '--action', 'config.read', '--resource', 'database:orders', '--depth', 'deep'],
      /--depth: expected a whole number from 0 on, not "deep"/,
    ],
    ['an audit that is not there', ['dec_00000000000000000000000000', '--audit', '/nowhere'], /\/nowhere/],
  ])('%s: exit 2', async (_, args, message) => {
    const { exitCode, stderr } = await runHallpass(['policy', 'explain', ...args, '--config', example.file], {
      environment: exampleEnv,
    })
    expect(exitCode).toBe(2)
    expect(stderr).toMatch(message)
  })

  test('of a request that would be refused before any decision: it is named, and what is wrong with it', async () => {
    const { stdout } = await explain(deployer, 'database.query', 'database:orders', '--context', 'nope=1')
    expect(stdout).toMatch(/^refused: database\.query on database:orders for .*\n.*nope/)
  })

  test('of somebody without an issuer: what was expected', async () => {
    const { exitCode, stderr } = await explain('prod', 'database.query', 'database:orders')
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr: 'hallpass: --principal: expected ISSUER:SUBJECT, not "prod"\n',
    })
  })

  test('of a recorded decision: by the groups, the bounds and the policies of then', async () => {
    const files = {
      'main.cedar': `\n@id("of-then")\npermit (principal in Group::"deployers", action == Action::"config.read", resource);`,
    }
    const hash = sha256Hex(canonicalJson(files))
    const { reason: _, ...base } = outsideCeiling
    const subject = 'spiffe://prod.acme.example/ns/ci/sa/gone'
    const principal = { ...base.input.principal, id: `prod:${subject}`, subject }
    const decision = {
      ...base,
      effect: 'permit',
      policies: ['of-then'],
      policySet: hash,
      ancestors: [],
      input: { ...base.input, principal, action: 'config.read' },
      standing: { groups: ['deployers'], access: 'read' },
      bounds: {
        ttlSeconds: 120,
        minTtlSeconds: 2,
        binding: 'none',
        require: { approval: null, binding: null, maxTtlSeconds: null },
      },
    }
    const audit = await auditOf(decision)
    const told = () =>
      runHallpass(['policy', 'explain', base.id, '--audit', audit, '--config', example.file], {
        environment: exampleEnv,
      })
    await keepPolicySet(join(audit, 'one'), { hash, files })
    const { exitCode, stdout } = await told()
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^permitted: config\.read /) })
    expect(stdout).toContain('  of-then  main.cedar:2\n')
    expect(stdout).toMatch(/yes +principal in Group::"deployers" +principal: ".*", groups: \["deployers"\]/)
    expect(stdout).toContain(`note: prod:${subject} was in deployers then, and is in no group now`)
    expect(stdout).toContain("Lifetime: asked 300 s → the task's deadline 120 s")
    expect(stdout).toContain('files and lines are its own')
    // Where the set is not kept those in force stand in, and that is said.
    await rm(join(audit, 'one', 'policy-sets'), { recursive: true })
    expect((await told()).stdout).toMatch(/since that one is missing here[\s\S]*agents-read-config/)
  })

  test('of a decision below others: what is told is of the caller alone, and why it was denied', async () => {
    const audit = await auditOf(outsideCeiling)
    const { exitCode, stdout } = await runHallpass(
      ['policy', 'explain', outsideCeiling.id, '--audit', audit, '--config', example.file],
      { environment: exampleEnv },
    )
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^for the caller alone /) })
    expect(stdout).toContain('note: it was decided deny (outside_ceiling) at 2031-05-06T07:08:09.000Z')
    expect(stdout).toContain('of the caller alone')
  })
})

const holdings = { activeLeases: 0, holding: [], granted: [] }
const outsideCeiling = {
  id: 'dec_01hzy3v5q8k2m4n6p8r0s2t4v6',
  effect: 'deny',
  reason: 'outside_ceiling',
  policies: [],
  policySet: '0'.repeat(64),
  ancestors: [{ effect: 'permit' }],
  input: {
    principal: {
      id: deployer,
      issuer: 'prod',
      subject: deployer.slice('prod:'.length),
      account: deployer,
      use: 'workload',
      attributes: {},
      binding: 'none',
    },
    action: 'database.query',
    resource: { id: 'database:orders', type: 'database', attributes: {} },
    requestedTtlSeconds: 300,
    declared: {},
    task: { ageSeconds: 0, depth: 1, activeLeases: 0 },
    session: { ...holdings, holdingAccess: [], holdingResources: [], grantedAccess: [], grantedResources: [] },
    account: { ...holdings, holdingAccess: [], holdingResources: [], grantedAccess: [], grantedResources: [] },
    recentDenials: 0,
    escalation: false,
    binding: 'none',
    now: Date.parse('2031-05-06T07:08:09Z'),
  },
}

/** A folder with one record; `explain` reads it, and leaves it to `audit verify` to check the chain. */
async function auditOf(decision: object): Promise<string> {
  const chain = join(example.folder, 'audit', 'one')
  await mkdir(chain, { recursive: true })
  const record = { event: 'decision.denied', instance: 'one', seq: 1, time: '2031-05-06T07:08:09Z', prev: '', decision }
  await writeFile(join(chain, '1.jsonl'), `${JSON.stringify(record)}\n`)
  return join(example.folder, 'audit')
}
