// DPoP and tokens for one request, over the wire, at two brokers on one ledger that both want nonces. The brokers have one
// issuer URL, as behind a load balancer: proofs name it, wherever they are sent.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Answer, call } from '../../scripts/demo/http-call.js'
import { spawnProgram, untilStarted } from '../../scripts/demo/program.js'
import { freePort } from '../../scripts/servers/free-port.js'
import { createBrokerClient, createDpopKey, subjectTokenFrom } from '../../src/client/index.js'
import { createProvingKey, makeProof, malleated, type ProvingKey } from '../support/dpop.js'
import { hallpassProgram, type Stack, startStack } from '../support/stack.js'
import type { StackSettings } from '../support/stack-settings.js'
import { expectProblem, report } from '../support/wire-checks.js'

const policies = `
@id("reads") permit (principal, action in Action::"read", resource is Repo);
@id("bound-writes") @binding("dpop") permit (principal in Issuer::"ci", action in Action::"write", resource is Repo);
@id("proven-deploys") permit (principal in Issuer::"ci", action in Action::"deploy", resource is Repo)
when { context.binding == "dpop" };
`
const write = { action: 'pull_request.open', resource: 'repo:acme/web' }
const deploy = { action: 'deploy.run', resource: 'repo:acme/web' }

let stack: Stack
let second: { url: string; end(): Promise<unknown> }
let victim: ProvingKey
let thief: ProvingKey
let nonce = ''

beforeAll(async () => {
  const settings = (base: StackSettings) => ({
    ...base,
    dpop: { nonce: true },
    issuers: {
      ...base.issuers,
      ci: { ...base.issuers.ci, bind: 'audience' },
      once: {
        type: 'oidc',
        issuer: base.issuers.ci?.issuer,
        audience: 'once',
        algorithms: ['ES256'],
        single_use: true,
      },
    },
  })
  stack = await startStack({ settings, policies })
  second = await startSecond(stack)
  victim = await createProvingKey()
  thief = await createProvingKey()
  const told = await stack.call('GET', '/v1/tasks', await shown(victim, await stack.ciToken(), 'GET', '/v1/tasks'))
  nonce = String(told.headers['dpop-nonce'])
})
afterAll(async () => {
  await second?.end()
  await stack?.stop()
})

async function startSecond({ configFile, directory, url: issuer }: Stack) {
  const settings = JSON.parse(readFileSync(configFile, 'utf8')) as StackSettings
  const listen = `127.0.0.1:${await freePort()}`
  const file = join(directory, 'second.yaml')
  const changed = { ...settings, issuer, listen, audit: { ...settings.audit, instance: 'second' } }
  writeFileSync(file, JSON.stringify(changed))
  const program = spawnProgram('serve', { hallpass: hallpassProgram, configFile: file })
  await untilStarted(program)
  return { url: `http://${listen}`, end: () => program.kill('SIGKILL') }
}

/** The headers of a call that proves `key`. */
async function shown(key: ProvingKey, token: string, method: string, path: string, claims: object = {}) {
  const proof = await makeProof(key, { method, url: `${stack.url}${path}`, token, claims: { nonce, ...claims } })
  return { headers: { authorization: `DPoP ${token}`, dpop: proof } }
}
async function prove(key: ProvingKey, token: string, method: string, path: string, body?: object): Promise<Answer> {
  return stack.call(method, path, { ...(await shown(key, token, method, path)), ...(body ? { body } : {}) })
}
const idOf = (answer: Answer, what: 'task' | 'lease') => (answer.body[what] as { id: string }).id
async function opened(key: ProvingKey, token: string, body: object = {}) {
  const answer = await prove(key, token, 'POST', '/v1/tasks', { purpose: 'a test', ...body })
  expect(answer.status).toBe(201)
  return { id: idOf(answer, 'task'), path: `/v1/tasks/${idOf(answer, 'task')}`, token: String(answer.body.task_token) }
}
const claimsOf = (jwt: unknown) =>
  JSON.parse(Buffer.from(String(jwt).split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>

describe('nonces', () => {
  test('a proof without one is told one, at either broker, and the other takes it', async () => {
    const token = await stack.ciToken()
    for (const made of [undefined, 'x']) {
      const headers = await shown(victim, token, 'GET', '/v1/tasks', { nonce: made })
      const answer = await call(second.url, 'GET', '/v1/tasks', headers)
      expectProblem(answer, { status: 401, code: 'use_dpop_nonce' })
      expect(answer.headers['www-authenticate']).toMatch(/^DPoP error="use_dpop_nonce"/)
      const given = { nonce: answer.headers['dpop-nonce'] }
      const again = await stack.call('GET', '/v1/tasks', await shown(victim, token, 'GET', '/v1/tasks', given))
      expect(again.status).toBe(200)
    }
  })
})

describe('what does not go together', () => {
  const path = '/v1/tasks'
  test.each<[string, (token: string, proof: string) => Record<string, string | string[]>, RegExp]>([
    ['the scheme without a proof', (token) => ({ authorization: `DPoP ${token}` }), /goes with a proof/],
    ['a bearer with a proof', (token, dpop) => ({ authorization: `Bearer ${token}`, dpop }), /not Bearer/],
    ['two proofs', (token, dpop) => ({ authorization: `DPoP ${token}`, dpop: [dpop, dpop] }), /more than once/],
    ['a proof of another token', (token, dpop) => ({ authorization: `DPoP ${token}x`, dpop }), /its ath/],
    ['a proof and no token', (_token, dpop) => ({ dpop }), /expected the header Authorization/],
  ])('%s: 401', async (_name, headersOf, detail) => {
    const token = await stack.ciToken()
    const { headers } = await shown(victim, token, 'GET', path)
    const answer = await stack.call('GET', path, { headers: headersOf(token, headers.dpop) })
    expectProblem(answer, { status: 401, code: 'invalid_token', detail })
  })

  test('a Host header of the caller is not what htu is compared with', async () => {
    const token = await stack.ciToken()
    const claims = { htu: 'http://evil.example/v1/tasks' }
    const { headers } = await shown(victim, token, 'GET', path, claims)
    const answer = await stack.call('GET', path, { headers: { ...headers, host: 'evil.example' } })
    expectProblem(answer, { status: 401, code: 'invalid_token', detail: /its htu/ })
    expect(answer.headers['www-authenticate']).toMatch(/^DPoP error="invalid_dpop_proof"/)
  })

  test('a task token is no token to prove a key for', async () => {
    const task = await opened(victim, await stack.ciToken())
    expectProblem(await prove(victim, task.token, 'GET', task.path), { status: 401, code: 'invalid_token' })
    expect((await stack.call('GET', task.path, { token: task.token })).status).toBe(200)
  })
})

test('one proof is one request, at whichever broker', async () => {
  const token = await stack.ciToken()
  const proven = await shown(victim, token, 'GET', '/v1/tasks')
  expect((await stack.call('GET', '/v1/tasks', proven)).status).toBe(200)
  for (const url of [stack.url, second.url]) {
    const again = await call(url, 'GET', '/v1/tasks', proven)
    expectProblem(again, { status: 401, code: 'invalid_token', detail: /proof was already used/ })
  }
  const headers = { ...proven.headers, dpop: malleated(proven.headers.dpop) }
  expectProblem(await call(second.url, 'GET', '/v1/tasks', { headers }), { status: 401, code: 'invalid_token' })
})

describe('a stolen GitHub token, whose issuer vouches for no key', () => {
  let token: string
  let task: Awaited<ReturnType<typeof opened>>
  let lease: string
  beforeAll(async () => {
    token = await stack.ciToken()
    task = await opened(victim, token, { heartbeat_seconds: 600 })
    const bought = await prove(victim, token, 'POST', `${task.path}/credentials`, report)
    expect(bought.body.credential).toMatchObject({ token_type: 'Bearer' })
    lease = idOf(bought, 'lease')
  })

  test.each<[string, string, () => string, object | undefined]>([
    ['reads the task', 'GET', () => task.path, undefined],
    ['buys in it', 'POST', () => `${task.path}/credentials`, report],
    ['tries out a purchase', 'POST', () => `${task.path}/credentials?dry_run=true`, report],
    ['keeps it alive', 'POST', () => `${task.path}/heartbeat`, undefined],
    ['completes it', 'POST', () => `${task.path}/complete`, {}],
    ['reads its lease', 'GET', () => `/v1/leases/${lease}`, undefined],
    ['releases its lease', 'DELETE', () => `/v1/leases/${lease}`, undefined],
  ])('with no proof or with the thief’s: whoever %s finds nothing', async (_name, method, path, body) => {
    const alone = await stack.call(method, path(), { token, ...(body ? { body } : {}) })
    for (const answer of [alone, await prove(thief, token, method, path(), body)]) {
      expectProblem(answer, { status: 404, code: 'not_found' })
      const records = stack.auditRecords().filter((one) => one.request_id === answer.headers['x-request-id'])
      expect(records).toMatchObject([{ event: 'request.refused', code: 'not_found', reason: 'pinned to another key' }])
    }
    expect((await prove(victim, token, 'GET', `/v1/leases/${lease}`)).body.state).toBe('active')
  })

  test('is shown no pinned task in a list', async () => {
    const tasksOf = (answer: Answer) => (answer.body.tasks as { id: string }[]).map(({ id }) => id)
    expect(tasksOf(await prove(victim, token, 'GET', '/v1/tasks'))).toContain(task.id)
    expect(tasksOf(await prove(thief, token, 'GET', '/v1/tasks'))).not.toContain(task.id)
    expect(tasksOf(await stack.call('GET', '/v1/tasks', { token }))).not.toContain(task.id)
  })

  test('binds nothing with a proof of one’s own choice: binding stays none', async () => {
    for (const key of [victim, thief]) {
      const own = await opened(key, token)
      const bound = await prove(key, token, 'POST', `${own.path}/credentials`, write)
      expectProblem(bound, { status: 403, code: 'binding_required' })
      const proven = await prove(key, token, 'POST', `${own.path}/credentials`, deploy)
      expectProblem(proven, { status: 403, code: 'denied' })
    }
  })

  test('its owner goes on, and the task token needs no proof to end things', async () => {
    expect((await prove(victim, token, 'POST', `${task.path}/heartbeat`)).status).toBe(200)
    const ended = await stack.call('POST', `${task.path}/complete`, { token: task.token, body: {} })
    expect(ended.status).toBe(200)
  })
})

describe('a token whose issuer vouches for the key', () => {
  test.each<[string, () => Promise<string>]>([
    ['by cnf.jkt', () => stack.ciToken({ cnf: { jkt: victim.jkt } })],
    ['by its audience', () => stack.ciToken({ aud: `${stack.url}#jkt=${victim.jkt}` })],
  ])('%s is bound to it, and so is what it buys', async (_name, sign) => {
    const token = await sign()
    const task = await opened(victim, token)
    for (const wanted of [write, deploy]) {
      const bought = await prove(victim, token, 'POST', `${task.path}/credentials`, wanted)
      expect(bought.body).toMatchObject({ credential: { token_type: 'DPoP' } })
      expect(claimsOf((bought.body.credential as { token: string }).token).cnf).toEqual({ jkt: victim.jkt })
    }
    expectProblem(await stack.call('GET', task.path, { token }), { status: 401, code: 'invalid_token', detail: /cnf/ })
    const stolen = await prove(thief, token, 'GET', task.path)
    expectProblem(stolen, { status: 401, code: 'invalid_token', detail: /another key/ })
    expect(stolen.headers['www-authenticate']).toMatch(/^DPoP error="invalid_token"/)
  })
})

describe('an issuer with single_use', () => {
  const onceToken = () => stack.ciToken({ aud: 'once', jti: crypto.randomUUID() })
  const open = (url: string, token: string) => call(url, 'POST', '/v1/tasks', { token, body: { purpose: 'once' } })
  const used = { status: 401, code: 'invalid_token', detail: /token was already used/ }

  test('takes each token for one request, at whichever broker and however its signature is spelled', async () => {
    const token = await onceToken()
    expect((await open(stack.url, token)).status).toBe(201)
    for (const url of [second.url, stack.url]) {
      expectProblem(await open(url, token), used)
      expectProblem(await open(url, malleated(token)), used)
    }
    expectProblem(await stack.call('GET', '/v1/tasks', { token }), used)
    const next = await onceToken()
    expect((await open(second.url, malleated(next))).status).toBe(201)
    expectProblem(await open(stack.url, next), used)
  })

  test('of many at once one gets through', async () => {
    const token = await onceToken()
    const answers = await Promise.all([stack.url, second.url, stack.url, second.url].map((url) => open(url, token)))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 401, 401, 401])
  })

  test('is not used up by a proof without a nonce, nor is it by one that was used', async () => {
    const token = await onceToken()
    const early = await stack.call('GET', '/v1/tasks', await shown(victim, token, 'GET', '/v1/tasks', { nonce: 'x' }))
    expectProblem(early, { status: 401, code: 'use_dpop_nonce' })
    expect((await prove(victim, token, 'GET', '/v1/tasks')).status).toBe(200)
    expectProblem(await prove(victim, token, 'GET', '/v1/tasks'), used)
  })
})

describe('the client', () => {
  const clientWith = (dpop: ReturnType<typeof createDpopKey>, token: string) =>
    createBrokerClient({ url: stack.url, tokenSource: subjectTokenFrom(() => token), dpop })

  test('proves its key, follows the nonce, and buys what is bound to it', async () => {
    const key = createDpopKey()
    const token = await stack.ciToken({ cnf: { jkt: await key.thumbprint() } })
    const client = clientWith(key, token)
    const { task, credentials, task_token } = await client.openTask({ purpose: 'bound', credentials: [write] })
    const [bought] = credentials ?? []
    expect(bought?.credential).toMatchObject({ token_type: 'DPoP' })
    expect(await client.showTask(task.id)).toMatchObject({ state: 'open' })
    await expect(clientWith(createDpopKey(), token).showTask(task.id)).rejects.toMatchObject({ code: 'invalid_token' })
    await client.completeTask(task.id, { taskToken: task_token })
  })

  test.each([
    ['exec', ['--', process.execPath, '-e', '']],
    ['request', []],
  ])('%s --dpop pins its task to a key of its own', async (command, rest) => {
    const run_id = `dpop-${command}`
    const token = await stack.ciToken({ run_id })
    const what = ['--dpop', '--action', report.action, '--resource', report.resource]
    const ran = await stack.runAs(token, command, ...what, ...rest)
    expect(ran).toMatchObject({ code: 0 })
    const [record] = stack
      .auditRecords()
      .filter((one) => one.event === 'task.opened' && `${one.instance_of}`.includes(run_id))
    expect(record?.pinned_to).toMatch(/^[A-Za-z0-9_-]{43}$/)
  })

  test('is told by the broker which audiences bind a key', async () => {
    const { body } = await stack.call('GET', '/.well-known/hallpass')
    expect(body).toMatchObject({ dpop_bound_audiences: [stack.url] })
    expect(body.dpop_signing_alg_values_supported).toContain('ES256')
  })
})
