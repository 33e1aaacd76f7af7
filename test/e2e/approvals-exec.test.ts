// A bot asks by `exec`, people answer by `approve`, and the bot goes on: with the built commands, over real connections.
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { hallpassProgram, type Stack, startStack } from '../support/stack.js'
import { stackGrants, stackPolicies } from '../support/stack-settings.js'
import { startWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.js'
import { introspect, until } from '../support/wire-checks.js'

const policies = `${stackPolicies}
@id("ship") @approval("on-call:2") @approval_timeout("2m")
permit (principal in Issuer::"ci", action == Action::"ship.run", resource);
@id("on-call-approves")
permit (principal in Group::"on-call", action == Action::"operate.approve", resource);
`
const grant = { ...stackGrants['deploy.run'], access: 'admin' }
const ship = ['--action', 'ship.run', '--resource', 'repo:acme/web']
const secret = `whsec_${randomBytes(32).toString('base64')}`

let stack: Stack
let receiver: WebhookReceiver
let folder: string
let token: string
let olga: string
let pete: string
beforeAll(async () => {
  receiver = await startWebhookReceiver(secret)
  process.env.TEST_WEBHOOK_SECRET = secret
  stack = await startStack({
    policies,
    settings: (base) => ({
      ...base,
      grants: { ...base.grants, 'ship.run': grant },
      // Long: what the receiver answered is what is seen, and no time-out of a machine that stood still.
      approvals: { webhook: { url: receiver.url, secret: 'env:TEST_WEBHOOK_SECRET', timeout: '30s' } },
    }),
  })
  folder = mkdtempSync(join(tmpdir(), 'hallpass-approvals-'))
  token = await stack.ciToken()
  olga = await stack.operatorToken()
  pete = await stack.operatorToken({ sub: 'pete', email: 'pete@acme.example' })
})
afterAll(async () => {
  await stack?.stop()
  await receiver?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A command that appends the credential that it was given to `file`. */
const keeper = (file: string) => [
  process.execPath,
  '-e',
  `require('node:fs').appendFileSync(${JSON.stringify(file)}, process.env.HALLPASS_CREDENTIAL + '\\n')`,
]
const credentialsIn = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [])
const exec = (file: string, ...options: string[]) =>
  stack.runAs(token, 'exec', ...ship, ...options, '--', ...keeper(file))
const vote = (who: string, word: string, id: string) => stack.runAs(who, word, id, '--reason', 'looked at it')
const taskOf = async (id: string) => (await stack.call('GET', `/v1/tasks/${id}`, { token })).body
const eventsOf = (id: string) => stack.auditRecords().flatMap((one) => (one.approval === id ? [one.event] : []))

test('left open with 125, approved by two, gone on with once', async () => {
  const file = join(folder, 'bot')
  receiver.answers.push(500, 500)
  const left = await exec(file)
  expect(left.code).toBe(125)
  const { approval, task_id, url } = JSON.parse(left.stdout) as {
    approval: { id: string }
    task_id: string
    url: string
  }
  const { id } = approval
  expect(approval).toMatchObject({ state: 'pending', group: 'on-call', needed: 2, principal: expect.any(String) })
  expect(url).toContain(id)
  expect(left.stderr).toContain(`--task ${task_id} --approval ${id}`)

  const listed = await stack.runAs(olga, 'approvals', '--state', 'pending')
  expect(listed.stdout).toMatch(
    new RegExp(`${id} +pending +ship.run +repo:acme/web .* 2 of on-call +0/2 +[0-2]:\\d\\d`),
  )
  const early = await exec(file, '--task', task_id, '--approval', id)
  expect([early.code, JSON.parse(early.stdout).approval.id]).toEqual([125, id])
  expect((await vote(olga, 'approve', id)).stdout).toContain('1/2 votes')
  expect((await vote(token, 'approve', id)).code).toBe(4)
  expect((await vote(pete, 'approve', id)).stdout).toContain('is approved')

  expect(await exec(file, '--task', task_id, '--approval', id)).toEqual({ code: 0, stdout: '', stderr: '' })
  const [credential = '', ...more] = credentialsIn(file)
  expect(more).toEqual([])
  expect(credential.split('.')).toHaveLength(3)
  expect(await introspect(stack, token, credential)).toEqual({ active: false })
  expect(await taskOf(task_id)).toMatchObject({ state: 'ended', outcome: 'succeeded' })
  expect(eventsOf(id).filter((event) => /requested|answered|used/.test(event))).toEqual([
    'approval.requested',
    'approval.answered',
    'approval.answered',
    'approval.used',
  ])

  const again = await exec(file, '--task', task_id, '--approval', id)
  expect(again).toMatchObject({ code: 125, stdout: '' })
  expect(again.stderr).toContain(`${id} (ship.run on repo:acme/web) was used already`)
  expect(credentialsIn(file)).toHaveLength(1)

  const toldOf = () => receiver.deliveries.filter(({ body }) => body.approval.id === id)
  const told = await until(
    toldOf,
    (all) => all.length >= 4 && all.some((one) => one.id.startsWith('approval.approved')),
    60,
  )
  expect(told.every(({ verified }) => verified)).toBe(true)
  expect(new Set(told.map((one) => one.id))).toEqual(new Set([`approval.requested.${id}`, `approval.approved.${id}`]))
})

test('request: 5 with the approval, then the credential; a denial is 4 while waiting', async () => {
  const asked = await stack.runAs(token, 'request', ...ship, '--output', 'json')
  expect(asked.code).toBe(5)
  const { approval, task_id } = JSON.parse(asked.stdout) as { approval: { id: string }; task_id: string }
  await vote(olga, 'approve', approval.id)
  await vote(pete, 'approve', approval.id)
  const given = await stack.runAs(token, 'request', ...ship, '--task', task_id, '--approval', approval.id)
  expect(given.code).toBe(0)
  expect(JSON.parse(given.stdout)).toMatchObject({ credential: { type: 'jwt' }, lease: { task_id } })

  const other = await stack.ciToken({ repository_id: '77', run_id: '300' })
  const waiting = stack.runAs(other, 'request', ...ship, '--wait=1m')
  const pending = await until(
    async () => JSON.parse((await stack.runAs(olga, 'approvals', '--state', 'pending', '--output', 'json')).stdout),
    ({ approvals }: { approvals: { id: string }[] }) => approvals.length > 0,
    50,
  )
  await vote(pete, 'deny', pending.approvals[0]?.id ?? '')
  const denied = await waiting
  expect(denied).toMatchObject({ code: 4, stdout: '' })
  expect(denied.stderr).toContain('was denied by pete@acme.example: looked at it')
})

test('a webhook that does not answer is seen in /readyz, and doctor names it', async () => {
  receiver.answers.push(...Array<number>(6).fill(503))
  const { approval, task_id } = JSON.parse((await exec(join(folder, 'seen'))).stdout) as {
    approval: { id: string }
    task_id: string
  }
  const ready = await until(
    async () => await stack.call('GET', '/readyz'),
    ({ status, body }) => status === 200 && typeof body.webhook === 'string',
    50,
  )
  expect(ready).toMatchObject({
    status: 200,
    body: { webhook: expect.stringMatching(/ answered 503 at .*; \d to be told$/) },
  })
  const doctor = await stack.run('doctor')
  expect(doctor.stdout).toMatch(/approvals webhook: (the last try at .*answered 503|http:)/)
  await stack.runAs(token, 'task', 'complete', task_id)
  expect(approval.id).toMatch(/^appr_/)
})

// Where nothing may be left out its absence fails.
const hasPty = process.env.HALLPASS_REQUIRE_REAL === '1' || spawnSync('python3', ['-c', 'import pty']).status === 0

/** `hallpass exec --wait` on a pseudo-terminal; `type` sends keys to it. */
function onTerminal(file: string) {
  const program = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))'
  const words = [process.execPath, hallpassProgram, 'exec', '--wait', ...ship, '--', ...keeper(file)]
  const child = spawn('python3', ['-c', program, ...words], {
    env: { ...process.env, HALLPASS_URL: stack.url, HALLPASS_TOKEN: token },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let seen = ''
  child.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString()
  })
  const ended = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? -1)))
  const untilSeen = (pattern: RegExp) =>
    until(
      async () => pattern.exec(seen),
      (match) => match !== null,
      50,
    )
  return {
    untilSeen,
    ended,
    type: (keys: string) => child.stdin.write(keys),
    seen: () => seen,
    done: () => child.stdin.end(),
  }
}

;(hasPty ? describe : describe.skip)('exec --wait on a terminal', () => {
  test('counts down, shows the votes and goes on by itself', async () => {
    const file = join(folder, 'terminal')
    const terminal = onTerminal(file)
    const first = await terminal.untilSeen(
      /(appr_[0-9a-z]{26}): ship\.run[\s\S]*waiting for 2 of on-call: 0\/2 votes, \d:\d\d left/,
    )
    const id = first?.[1] ?? ''
    await vote(olga, 'approve', id)
    await terminal.untilSeen(/1\/2 votes/)
    await vote(pete, 'approve', id)
    expect(await terminal.ended).toBe(0)
    terminal.done()
    expect(credentialsIn(file)).toHaveLength(1)
    // The line was taken away before the command had the terminal.
    expect(terminal.seen().trimEnd().endsWith('\u001b[2K')).toBe(true)
  })

  test('^C ends the wait and the task', async () => {
    const file = join(folder, 'interrupted')
    const terminal = onTerminal(file)
    const [, id = ''] = (await terminal.untilSeen(/(appr_[0-9a-z]{26}): ship\.run[\s\S]*0\/2 votes/)) ?? []
    const { task_id } = JSON.parse((await stack.runAs(token, 'approvals', id, '--output', 'json')).stdout)
    terminal.type('\u0003')
    expect(await terminal.ended).toBe(130)
    terminal.done()
    expect(await taskOf(task_id)).toMatchObject({ state: 'ended', outcome: 'cancelled' })
    expect(credentialsIn(file)).toEqual([])
    const late = await vote(olga, 'approve', id)
    expect(late.code).not.toBe(0)
  })
})
