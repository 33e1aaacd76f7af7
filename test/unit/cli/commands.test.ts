import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { sha256Hex } from '../../../src/core/hash.js'
import { credentials } from '../../support/answers.js'
import { runHallpass } from '../../support/command-line.js'
import { startWireServer, type WireServer } from '../../support/wire-server.js'
import { operatorToken, workloadToken } from '../../support/wire-state.js'

let wire: WireServer
beforeEach(async () => {
  wire = await startWireServer()
  wire.offers.set('object.read', { credential: credentials.aws })
  wire.offers.set('deploy.run', { credential: credentials.jwt })
})
afterEach(() => wire.close())

const asWorkload = (...argv: string[]) =>
  runHallpass(argv, { environment: { HALLPASS_URL: wire.url, HALLPASS_TOKEN: workloadToken } })
const asOperator = (...argv: string[]) =>
  runHallpass(argv, { environment: { HALLPASS_URL: wire.url, HALLPASS_TOKEN: operatorToken } })
const read = ['--action', 'object.read', '--resource', 'bucket:reports']

async function someLease(): Promise<string> {
  await asWorkload('request', ...read)
  return [...wire.leases.keys()].at(-1) ?? ''
}

describe('hallpass request', () => {
  test('opens a task of its own and prints the answer with its task token', async () => {
    const ran = await asWorkload('request', ...read, '--ttl', '20m', '--context', 'k=v')
    const printed = JSON.parse(ran.stdout)
    expect(printed).toMatchObject({ credential: credentials.aws, task_token: `token-of.${printed.lease.task_id}` })
    expect(wire.seen[0]?.body).toEqual({
      purpose: 'hallpass request',
      ttl_seconds: 1200,
      credentials: [{ action: 'object.read', resource: 'bucket:reports', ttl_seconds: 1200, context: { k: 'v' } }],
    })
  })

  test('prints what other programs read and nothing else', async () => {
    const ran = await asWorkload('request', ...read, '--format', 'aws')
    expect(Object.keys(JSON.parse(ran.stdout))).toEqual([
      'Version',
      'AccessKeyId',
      'SecretAccessKey',
      'SessionToken',
      'Expiration',
    ])
    expect(ran.stderr).toBe('')
  })

  test('a credential without that form is ended at once, since nobody will see it', async () => {
    const ran = await asWorkload('request', ...read, '--format', 'git')
    expect(ran).toMatchObject({ exitCode: 2, stdout: '' })
    expect([...wire.leases.values()][0]?.state).toBe('revoked')
  })

  test("is Git's helper: get gives, store and erase do nothing", async () => {
    const deploy = ['--action', 'deploy.run', '--resource', 'repo:acme/web', '--format', 'git']
    expect((await asWorkload('request', ...deploy, 'erase')).stdout).toBe('')
    expect(wire.seen).toHaveLength(0)
    expect((await asWorkload('request', ...deploy, 'get')).stdout).toMatch(
      /^username=.*\npassword=.*\npassword_expiry_utc=\d+\n$/,
    )
  })

  test('inside a task asks in that task; a dry run mints nothing there', async () => {
    await asWorkload('task', 'open', '--purpose', 'outer')
    const [taskId = ''] = wire.tasks.keys()
    wire.refused.set('object.read', 'denied')
    const dry = await asWorkload('request', ...read, '--task', taskId, '--dry-run')
    expect(dry).toMatchObject({ exitCode: 4, stdout: 'deny by p1, for 60 s\n' })
    wire.refused.clear()
    expect((await asWorkload('request', ...read, '--task', taskId)).exitCode).toBe(0)
    expect([...wire.leases.values()].map((one) => one.task_id)).toEqual([taskId])
  })
})

describe('hallpass task', () => {
  test('complete ends the surrounding task with its token alone and shows each receipt', async () => {
    await someLease()
    const [taskId = ''] = wire.tasks.keys()
    const environment = { HALLPASS_URL: wire.url, HALLPASS_TASK: taskId, HALLPASS_TASK_TOKEN: `token-of.${taskId}` }
    expect((await runHallpass(['task', 'show'], { environment })).stdout).toMatch(/^state +open$/m)
    const ran = await runHallpass(['task', 'complete', '--outcome', 'cancelled'], { environment })
    expect(ran.stdout).toMatch(/^LEASE +OUTCOME.*\nlease_\w+ +confirmed +probe_dead/)
    expect(wire.tasks.get(taskId)).toMatchObject({ state: 'ended', outcome: 'cancelled' })
  })

  test('complete is 7 when a revocation failed', async () => {
    wire.offers.set('object.read', { credential: credentials.aws, outcome: 'failed' })
    await someLease()
    const [taskId = ''] = wire.tasks.keys()
    expect((await asWorkload('task', 'complete', taskId)).exitCode).toBe(7)
  })

  test('list prints a table, or JSON; an escape sequence in a purpose reaches no terminal', async () => {
    await asWorkload('task', 'open', '--purpose', 'x')
    const [task] = wire.tasks.values()
    if (task !== undefined) wire.tasks.set(task.id, { ...task, purpose: '\u001b[2Jgone' })
    expect((await asWorkload('task', 'list', '--state', 'open')).stdout).toMatch(/TASK +STATE.*\n.*\?\[2Jgone\n/)
    expect(JSON.parse((await asWorkload('task', 'list', '--output', 'json')).stdout).tasks).toHaveLength(1)
  })
})

describe('hallpass lease', () => {
  test('find hashes the leaked secret here and sends its fingerprint alone', async () => {
    const ran = await runHallpass(['lease', 'find', '-'], {
      environment: { HALLPASS_URL: wire.url, HALLPASS_TOKEN: operatorToken },
      stdin: 'leaked.jwt.token\n',
    })
    expect(ran.exitCode).toBe(0)
    expect(wire.seen[0]?.query).toEqual({ fingerprint: sha256Hex('leaked.jwt.token') })
    expect(JSON.stringify(wire.seen)).not.toContain('leaked')
    // It has long ended, maybe: the audit can tell, by the fingerprint.
    expect(ran.stderr).toContain(sha256Hex('leaked.jwt.token'))
    expect(ran.stdout + ran.stderr).not.toContain('leaked.jwt.token')
  })

  test('find says that a whole line of a log is no secret, and shows nothing of it', async () => {
    const environment = { HALLPASS_URL: wire.url, HALLPASS_TOKEN: operatorToken }
    const ran = await runHallpass(['lease', 'find', '-'], { environment, stdin: 'token: leaked.jwt.token\n' })
    expect(ran.stderr).toMatch(/all of stdin was hashed as one secret.*bare value/)
    expect(ran.stdout + ran.stderr).not.toContain('leaked')
    const bare = await runHallpass(['lease', 'find', '-'], { environment, stdin: 'leaked.jwt.token\n' })
    expect(bare.stderr).not.toContain('bare value')
  })

  test('find refuses a secret in an argument', async () => {
    const ran = await asOperator('lease', 'find', 'leaked.jwt.token')
    expect(ran.exitCode).toBe(2)
    expect(ran.stderr).not.toContain('leaked.jwt.token')
    expect(wire.seen).toHaveLength(0)
  })

  test('list sends the filters by their wire names', async () => {
    await someLease()
    const time = '2030-01-01T00:00:00Z'
    const ran = await asOperator('lease', 'list', '--action', 'object.read', '--issued-after', time, '--limit', '5')
    expect(ran.stdout).toMatch(/LEASE.*\nlease_\w+ +active +object.read/)
    expect(wire.seen.at(-1)?.query).toEqual({ action: 'object.read', issued_after: time, limit: '5' })
    expect((await asOperator('lease', 'list', '--state', 'alive')).exitCode).toBe(2)
  })

  test('find and list go on over pages in which nothing that is meant stands', async () => {
    const leaseId = await someLease()
    const body = JSON.stringify({ leases: [], next_cursor: 'further' })
    const empty = { method: 'GET', path: '/v1/leases', answer: { status: 200, body } } as const
    wire.faults.push(empty, empty)
    const found = await asOperator('lease', 'find', sha256Hex('leaked'))
    expect(found.stdout).toContain(leaseId)
    wire.faults.push(empty, empty)
    expect((await asOperator('lease', 'list', '--account', 'ci:1')).stdout).toContain(leaseId)
    const asked = wire.seen.filter(({ path }) => path === '/v1/leases').map(({ query }) => query.cursor)
    expect(asked).toEqual([undefined, 'further', 'further', undefined, 'further', 'further'])
  })

  test('release ends it and shows the receipt; show tells the same', async () => {
    const leaseId = await someLease()
    expect((await asWorkload('lease', 'release', leaseId)).stdout).toContain('confirmed')
    expect((await asWorkload('lease', 'show', leaseId)).stdout).toMatch(/^receipt .*confirmed dead \(probe_dead\)$/m)
  })
})

describe('hallpass revoke', () => {
  test('a dry run says how many and does nothing', async () => {
    await someLease()
    const ran = await asOperator('revoke', 'account', 'ci:1', '--reason', 'drill', '--dry-run')
    expect(ran).toMatchObject({ exitCode: 0, stdout: '1 live lease would be revoked; nothing was done\n' })
    expect(wire.seen.at(-1)?.body).toEqual({ target: { account: 'ci:1' }, reason: 'drill', dry_run: true })
  })

  test('without --wait it says that the order is taken', async () => {
    await someLease()
    expect((await asOperator('revoke', 'all', '--reason', 'x')).stdout).toMatch(/^rev_\w+: revoking 1 live lease\n$/)
  })

  test('--wait follows it through an outage and shows every page of receipts', async () => {
    await someLease()
    await someLease()
    wire.faults.push({ method: 'GET', path: '/v1/revocations/', answer: 'drop' })
    const ran = await asOperator('revoke', 'provider', 'aws', '--reason', 'x', '--wait', '--output', 'json')
    expect(ran.exitCode).toBe(0)
    expect(JSON.parse(ran.stdout)).toMatchObject({ state: 'done', receipts: [{}, {}] })
  })

  test('--wait is 7 when one failed', async () => {
    wire.offers.set('object.read', { credential: credentials.aws, outcome: 'failed' })
    await someLease()
    expect((await asOperator('revoke', 'all', '--reason', 'x', '--wait')).exitCode).toBe(7)
  })

  test.each([
    [['revoke', 'everything', '--reason', 'x'], 'expected one of lease, task'],
    [['revoke', 'all', 'ci:1', '--reason', 'x'], 'takes no id'],
    [['revoke', 'task', '--reason', 'x'], 'which one?'],
    [['revoke', 'lease', 'l-1', '--reason', 'x'], 'not the shape of one: expected an id that starts with lease_'],
    [['revoke', 'where', 'foo=bar', '--reason', 'x'], 'there is no filter foo; expected one of state, principal'],
    [['revoke', 'where', 'issued_after=today', '--reason', 'x'], 'issued_after: expected a time such as'],
    [['revoke', 'where', 'state=alive', '--reason', 'x'], 'state: expected live, or one of reserved, active'],
    [['lease', 'list', '--state', 'alive'], '--state: expected live, or one of reserved, active'],
    [['revoke', 'all'], '--reason'],
  ])('%j is a usage error and orders nothing', async (argv, says) => {
    const ran = await asOperator(...argv)
    expect(ran.exitCode).toBe(2)
    expect(ran.stderr).toContain(says)
    expect(wire.seen).toHaveLength(0)
  })

  test("a workload's order is an authentication failure here, as text or as JSON", async () => {
    const ran = await asWorkload('revoke', 'all', '--reason', 'x', '--output', 'json')
    expect(ran.exitCode).toBe(3)
    expect(JSON.parse(ran.stderr).error).toMatchObject({ code: 'invalid_token', status: 401 })
  })
})
