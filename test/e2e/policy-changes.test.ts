// Rules that change under live leases, with the real programs: what is no longer permitted ends, many wait for an operator's
// word, and what is broken on disk changes nothing.
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Stack, startStack } from '../support/stack.js'
import { stackPolicies } from '../support/stack-settings.js'
import { type Bought, buy, introspect, openTask, report, until } from '../support/wire-checks.js'

const freeze = `@id("frozen")
forbid (principal, action == Action::"report.read", resource);
`
const mayApply = `@id("sre-simulates")
permit (principal in Group::"on-call", action == Action::"operate.simulate", resource == Broker::"broker");
`
const writing = { action: 'pull_request.open', resource: 'repo:acme/web' }

let stack: Stack
let token: string
beforeAll(async () => {
  stack = await startStack({
    policies: `${stackPolicies}\n${mayApply}`,
    settings: (base) => ({ ...base, policy_change: { brake_leases: 2, brake_percent: 0 } }) as typeof base,
  })
  token = await stack.ciToken()
})
afterAll(() => stack?.stop())

const policyFile = (name: string) => join(stack.directory, 'policies', name)
/** In one step: a program that reads between the file and its text would take an empty policy into force. */
const freezing = (on: boolean) => {
  if (!on) return rmSync(policyFile('freeze.cedar'))
  const aside = join(stack.directory, 'freeze.cedar')
  writeFileSync(aside, freeze)
  renameSync(aside, policyFile('freeze.cedar'))
}
const rules = async () => (await stack.call('GET', '/readyz')).body.rules as Record<string, string>
const inForce = async (hash: string) => await until(rules, (seen) => seen.hash !== hash)
const buyOne = async (asked: object = report): Promise<Bought> =>
  await buy(stack, token, await openTask(stack, token), asked as typeof report)
const lease = async ({ lease: id }: Bought) => (await stack.call('GET', `/v1/leases/${id}`, { token })).body
const asOperator = async (...args: string[]) => await stack.runAs(await stack.operatorToken(), ...args)
/** All leases are judged by the rules that the broker decides by now, and not by some before them. */
const settled = () =>
  until(
    async () => {
      const { hash } = await rules()
      const { stdout } = await asOperator('policy', 'pending', '--output', 'json')
      return { hash, change: (JSON.parse(stdout) as { change: { rules: string; state: string } | null }).change }
    },
    ({ hash, change }) => change?.rules === hash && change?.state === 'done',
  )

test('a lease that a new policy forbids is revoked at once, and the policy that decided is on record', async () => {
  await settled()
  const [read, written] = [await buyOne(), await buyOne(writing)]
  const candidate = join(stack.directory, 'candidate')
  cpSync(join(stack.directory, 'policies'), candidate, { recursive: true })
  writeFileSync(join(candidate, 'freeze.cedar'), freeze)
  const config = join(stack.directory, 'candidate.yaml')
  writeFileSync(config, readFileSync(stack.configFile, 'utf8').replace('./policies', './candidate'))
  const asked = await asOperator('policy', 'check', '--config', config, '--against', stack.url)
  expect(asked).toMatchObject({ code: 0, stdout: expect.stringContaining('1 of 2 live leases would end') })
  expect(asked.stdout).toContain(read.lease)
  // Of what was decided: each read that was bought would be denied. Whoever may not read the audit is told so.
  expect(asked.stdout).toMatch(
    /of [0-9]+ decisions of this broker in the last day: [1-9][0-9]* would lose, 0 would gain/,
  )
  expect(asked.stdout).toMatch(/would lose +ci:1296269 .* permit → deny/)
  const asJson = await asOperator('policy', 'check', '--config', config, '--against', stack.url, '--output', 'json')
  expect(JSON.parse(asJson.stdout)).toMatchObject({
    problems: expect.any(Array),
    against: { live: 2, would_end: [{ lease: read.lease }] },
  })
  const live = ['policy', 'simulate', '--config', stack.configFile, '--candidate', candidate, '--live']
  expect((await asOperator(...live, '--fail-on', 'gain')).code).toBe(0)
  const told = await asOperator(...live, '--output', 'json')
  expect(told.code).toBe(1)
  expect(JSON.parse(told.stdout)).toMatchObject({ live: 2, would_end: [{ lease: read.lease }], recorded: { gains: 0 } })
  expect((await lease(read)).state).toBe('active')

  const { hash } = await rules()
  freezing(true)
  await until(
    () => lease(read),
    ({ state }) => state === 'revoked',
    60,
  )
  expect(await lease(read)).toMatchObject({ end_reason: 'policy_changed', receipt: { outcome: 'confirmed' } })
  expect(await introspect(stack, token, read.secret)).toEqual({ active: false })
  expect(await lease(written)).toMatchObject({ state: 'active' })
  expect(stack.auditRecords().filter((one) => one.event === 'lease.redecided')).toMatchObject([
    { lease: read.lease, chain: 'test-worker', reason: 'forbidden', policies: ['frozen'] },
  ])
  const after = await inForce(hash ?? '')
  freezing(false)
  await inForce(after.hash ?? '')
  await settled()
}, 180_000)

test('many wait for an operator’s word, through a killed worker; new requests do not', async () => {
  const bought = [await buyOne(), await buyOne(), await buyOne()]
  const { hash } = await rules()
  freezing(true)
  // The worker may have read the change before the broker.
  const waiting = await until(rules, (seen) => seen.waiting !== undefined && seen.hash !== hash, 60)
  expect(waiting.waiting).toContain(`hallpass policy apply ${waiting.hash}`)
  const ready = await stack.call('GET', '/readyz')
  expect(ready).toMatchObject({ status: 200, body: { ready: true, problems: {} } })
  const task = await openTask(stack, token)
  expect(await stack.call('POST', `${task.path}/credentials`, { token, body: report })).toMatchObject({ status: 403 })
  expect((await stack.call('GET', '/metrics')).text).toMatch(/hallpass_policy_change_waiting 3/)
  for (const one of bought) expect((await lease(one)).state).toBe('active')

  const stale = await asOperator('policy', 'apply', hash ?? '', '--reason', 'x')
  expect(stale.code).not.toBe(0)
  expect(stale.stderr).toContain('stale_rules')
  const nobody = await stack.operatorToken({ groups: ['interns'] })
  expect((await stack.runAs(nobody, 'policy', 'apply', waiting.hash ?? '', '--reason', 'x')).code).not.toBe(0)
  expect((await asOperator('policy', 'pending')).stdout).toContain(bought[0]?.lease)

  await stack.programs.worker?.kill('SIGKILL')
  expect(await asOperator('policy', 'apply', waiting.hash ?? '', '--reason', 'incident 4711')).toMatchObject({
    code: 0,
  })
  await stack.start('worker')
  for (const one of bought)
    await until(
      () => lease(one),
      ({ state }) => state === 'revoked',
      60,
    )
  expect(stack.auditRecords().filter((one) => one.event === 'rules.change_applied')).toMatchObject([
    { actor: 'staff:olga', reason: 'incident 4711', rules: waiting.hash, doomed: 3 },
  ])
  await until(rules, (seen) => seen.waiting === undefined)
  freezing(false)
  await inForce(waiting.hash ?? '')
}, 180_000)

test('an empty folder, one that is gone and a broken file change nothing, also on a signal', async () => {
  await until(
    () => stack.call('POST', '/v1/tasks', { token, body: { purpose: 'x' } }),
    ({ status }) => status === 201,
  )
  const { hash } = await rules()
  const kept = join(stack.directory, 'kept')
  const live = await buyOne()
  for (const spoil of [
    () => rmSync(join(stack.directory, 'policies'), { recursive: true }),
    () => writeFileSync(policyFile('broken.cedar'), '@id("broken") permit (principal, '),
  ]) {
    cpSync(join(stack.directory, 'policies'), kept, { recursive: true })
    spoil()
    process.kill(stack.programs.serve?.pid ?? 0, 'SIGHUP')
    expect(await until(rules, (seen) => seen.refused !== undefined)).toMatchObject({ hash })
    await buyOne()
    rmSync(join(stack.directory, 'policies'), { recursive: true, force: true })
    renameSync(kept, join(stack.directory, 'policies'))
    expect(await until(rules, (seen) => seen.refused === undefined)).toMatchObject({ hash })
  }
  expect((await lease(live)).state).toBe('active')
}, 180_000)
