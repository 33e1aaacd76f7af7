// What happened can be read back from the files alone, and nowhere that anything is kept is there a secret.
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { runHallpassOnHost } from '../support/run-hallpass.js'
import { type Stack, startStack } from '../support/stack.js'
import { stackPolicies } from '../support/stack-settings.js'
import { startVaultForStack, type VaultInStack, vaultPolicy } from '../support/vault-in-stack.js'
import {
  type Bought,
  boughtOf,
  buy,
  introspect,
  type LedgerView,
  lookIntoLedger,
  type OpenedTask,
  openTask,
  report,
  until,
} from '../support/wire-checks.js'

let beside: VaultInStack
let stack: Stack
let ledger: LedgerView
let token: string
let task: OpenedTask
let bought: Record<'report' | 'query' | 'config' | 'settings' | 'released', Bought>
const secrets = new Map<string, string>()

beforeAll(async () => {
  beside = await startVaultForStack()
  stack = await startStack({
    policies: stackPolicies + vaultPolicy,
    settings: beside.withVault,
    env: { HALLPASS_LOG_LEVEL: 'debug' },
  })
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
  task = await openTask(stack, token)
  await aWorkingDay()
  gatherSecrets()
}, 120_000)
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
  await beside?.vault.stop()
})

/** Everything that callers do, once, refusals and failures of a provider included. */
async function aWorkingDay(): Promise<void> {
  // Long: what ends by itself before the task does is ordered by nobody.
  const database = { resource: 'database:orders', ttl_seconds: 900 }
  bought = {
    report: await buy(stack, token, task, report),
    query: await buy(stack, token, task, { action: 'database.query', ...database }),
    config: await buy(stack, token, task, { action: 'config.read', ...database }),
    settings: await buy(stack, token, task, { action: 'settings.read', ...database }),
    released: await buy(stack, token, task, report),
  }
  const ask = (asked: object, who = token, headers = {}) =>
    stack.call('POST', `${task.path}/credentials`, { token: who, body: asked, headers })
  await ask({ action: 'database.migrate', resource: 'database:orders', context: { change_type: 'data' } }).then(
    (answer) => secrets.set('a migration', boughtOf(answer).secret),
  )
  expect((await ask({ action: 'deploy.run', resource: 'repo:acme/web' })).status).toBe(403)
  const foreign = await stack.svid()
  secrets.set('a stranger’s JWT-SVID', foreign)
  expect((await ask(report, foreign)).status).toBe(404)
  const expired = await stack.ciToken({ exp: 1 })
  secrets.set('an expired token', expired)
  expect((await ask(report, expired)).status).toBe(401)
  secrets.set('an idempotency key', 'a-key-that-a-caller-chose')
  expect((await ask(report, token, { 'idempotency-key': 'a-key-that-a-caller-chose' })).status).toBe(201)
  beside.vault.failNext('sys/leases/renew', 400, ['lease is not renewable'])
  expect((await ask({ action: 'database.query', ...database })).status).toBe(502)
  beside.vault.answerNext('auth/token/create', (response) =>
    response.writeHead(200).end('{"auth":{"client_token":"hvs.garbled"}}'),
  )
  secrets.set('a token in an answer that makes no sense', 'hvs.garbled')
  expect((await ask({ action: 'config.read', ...database })).status).toBe(502)
  await introspect(stack, token, bought.report.secret)
  await stack.call('DELETE', `/v1/leases/${bought.released.lease}`, { token })
  const operator = await stack.operatorToken()
  secrets.set('an operator’s token', operator)
  const order = { target: { lease: bought.config.lease }, reason: 'a drill' }
  await stack.call('POST', '/v1/revocations', { token: operator, body: order })
  await stack.call('POST', `${task.path}/complete?wait_seconds=10`, {
    token: task.token,
    body: { outcome: 'succeeded' },
  })
  await until(ledger.due, (due) => due.length <= 1, 30)
}

function gatherSecrets(): void {
  secrets.set('the subject token', token)
  secrets.set('the task token', task.token)
  for (const [name, { secret, credential }] of Object.entries(bought))
    secrets.set(name, secret === 'undefined' ? String((credential.data as { colour?: string }).colour) : secret)
  for (const { path, body, token: used } of beside.vault.calls) {
    if (used !== undefined) secrets.set(`a token used at Vault for ${path}`, used)
    const { jwt } = (body ?? {}) as { jwt?: string }
    if (jwt !== undefined) secrets.set('our login at Vault', jwt)
  }
  secrets.set('the sealing key', readFileSync(join(stack.directory, 'sealing.key'), 'utf8'))
  // A signature alone makes a token of what anybody can write.
  for (const [name, text] of [...secrets]) {
    const [, , signature] = text.split('.')
    if (signature !== undefined && signature.length > 20) secrets.set(`the signature of ${name}`, signature)
  }
}

const recordsOf = (key: 'task' | 'lease', id: string) => stack.auditRecords().filter((record) => record[key] === id)

test('one timeline per task: decisions, leases and their ends, in order, each with who and which request', () => {
  const timeline = recordsOf('task', task.id)
  expect(timeline[0]).toMatchObject({ event: 'task.opened', purpose: 'a test', account: 'ci:1296269' })
  const events = timeline.map(({ event }) => event)
  expect(events).toEqual(expect.arrayContaining(['decision.denied', 'request.refused', 'lease.ended', 'task.ended']))
  for (const record of timeline) {
    expect(record.principal ?? record.actor).toEqual(expect.any(String))
    expect(record.time).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/)
  }
  const lives = Object.values(bought).map(({ lease }) => recordsOf('lease', lease).map(({ event }) => event))
  for (const life of lives) {
    expect(life.slice(0, 2)).toEqual(['lease.reserved', 'lease.issued'])
    // Each of these is in another program's chain: the order stands in the ledger first, and the worker may be through before
    // the broker has written whose it was.
    expect(life.slice(2).sort()).toEqual(['lease.ended', 'lease.ending'])
  }
  const [reserved] = recordsOf('lease', bought.query.lease)
  expect(reserved).toMatchObject({
    request_id: expect.stringMatching(/^req_/),
    token_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    deadline: expect.any(String),
    recipe: { kind: 'secret', path: 'database/creds/orders-reader' },
    decision: {
      effect: 'permit',
      policySet: expect.stringMatching(/^[0-9a-f]{64}$/),
      input: { action: 'database.query' },
    },
  })
  const forced = recordsOf('lease', bought.config.lease).find(({ event }) => event === 'lease.ending')
  expect(forced).toMatchObject({ actor: 'staff:olga', reason: 'revoked' })
})

test('a denial is written with the whole input of its decision', () => {
  const denial = recordsOf('task', task.id).find(({ event }) => event === 'decision.denied')
  expect(denial).toMatchObject({
    code: 'denied',
    decision: {
      effect: 'deny',
      reason: 'forbidden',
      policies: ['no-deploy-after-database-writes'],
      input: {
        action: 'deploy.run',
        resource: { id: 'repo:acme/web', attributes: { environment: 'staging' } },
        session: { granted: expect.arrayContaining(['database.migrate']) },
        principal: { id: 'ci:repo:acme/web:ref:refs/heads/main' },
      },
    },
  })
})

test('the chains are intact beside the running programs, and one changed byte is found with its file and line', async () => {
  const intact = await runHallpassOnHost(stack, 'audit', 'verify', '--output', 'json')
  expect(intact.code).toBe(0)
  expect(JSON.parse(intact.output)).toMatchObject({ ok: true, chains: 2, problems: [] })
  const copy = join(stack.directory, 'copy')
  cpSync(join(stack.directory, 'audit', 'test-serve'), copy, {
    recursive: true,
    filter: (path) => !path.endsWith('.sock'),
  })
  const [segment = ''] = readdirSync(copy).filter((name) => /^\d+\.jsonl$/.test(name))
  const text = readFileSync(join(copy, segment), 'utf8')
  const at = text.indexOf('"forbidden"')
  writeFileSync(join(copy, segment), text.replace('"forbidden"', '"no_permit"'))
  const broken = await runHallpassOnHost(stack, 'audit', 'verify', copy)
  expect(broken.code).toBe(1)
  // The line after the changed one no longer follows from it.
  const line = text.slice(0, at).split('\n').length
  expect(broken.output).toMatch(new RegExp(`${segment}:(${line}|${line + 1}): `))
})

function* filesIn(folder: string): Generator<string> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    // The programs run: a file that is written anew is there under another name for a moment.
    const stats = statSync(path, { throwIfNoEntry: false })
    if (stats?.isDirectory()) yield* filesIn(path)
    else if (stats?.isFile()) yield path
  }
}

async function* valuesInRedis(): AsyncGenerator<string> {
  for await (const keys of ledger.redis.scanStream({ match: `*${stack.redis.prefix}*`, count: 500 })) {
    for (const key of keys as string[]) {
      const type = await ledger.redis.type(key)
      const value = {
        string: () => ledger.redis.get(key),
        hash: () => ledger.redis.hgetall(key),
        set: () => ledger.redis.smembers(key),
        zset: () => ledger.redis.zrange(key, '0', '-1'),
        list: () => ledger.redis.lrange(key, 0, -1),
        stream: () => ledger.redis.xrange(key, '-', '+'),
      }[type]
      yield `${key} ${JSON.stringify(await value?.())}`
    }
  }
}

test('no secret anywhere: not in the audit, not in Redis nor in its log of commands, not in a log, not in the metrics', async () => {
  expect(secrets.size).toBeGreaterThan(25)
  const kept = new Map<string, string>()
  // Redis's append-only file is among them: every command that it was ever sent.
  const own = /\/(keys\/|sealing\.key|hallpass\.yaml)/
  for (const file of filesIn(stack.directory)) if (!own.test(file)) kept.set(file, readFileSync(file, 'latin1'))
  let count = 0
  for await (const value of valuesInRedis()) kept.set(`Redis value ${count++}`, value)
  for (const program of [stack.programs.serve, stack.programs.worker])
    kept.set(`the log of ${program?.name}`, program?.output() ?? '')
  kept.set('the metrics', (await stack.call('GET', '/metrics')).text)
  expect(count).toBeGreaterThan(10)
  // The search sees what there is to see: a lease's id stands in Redis's log.
  const holds = (part: string) =>
    [...kept].some(([where, text]) => where.includes(part) && text.includes(bought.report.lease))
  expect([holds('/redis/'), holds('/test-serve/'), holds('/test-worker/')]).toEqual([true, true, true])
  expect([...kept.keys()].filter((name) => name.endsWith('.jsonl')).length).toBeGreaterThanOrEqual(2)
  const found: string[] = []
  for (const [where, text] of kept)
    for (const [what, secret] of secrets) if (text.includes(secret)) found.push(`${what} in ${where}`)
  expect(found).toEqual([])
})
