// X.509-SVIDs over mutual TLS at a real `serve`: those of a real SPIRE and bad ones, on living connections while bundles
// change, and from a proxy before us.
import { execFile } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Answer } from '../../scripts/demo/http-call.js'
import { type Program, spawnProgram, untilStarted } from '../../scripts/demo/program.js'
import { freePort } from '../../scripts/servers/free-port.js'
import { bundleOf, issue, issueAuthority } from '../support/certificate-authority.js'
import { hallpassProgram, type Stack, startStack } from '../support/stack.js'
import type { StackSettings } from '../support/stack-settings.js'
import { expectProblem, pause, report, until } from '../support/wire-checks.js'

const policies = `
@id("reads") permit (principal, action in Action::"read", resource is Repo);
@id("bound-writes") @binding("mtls") permit (principal, action in Action::"write", resource is Repo);
`
const write = { action: 'pull_request.open', resource: 'repo:acme/web' }
const id = 'spiffe://prod.acme.example/ns/ci/sa/deployer'
const fixture = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../fixtures/spire/${name}`, import.meta.url)), 'utf8')
const real = { cert: fixture('prod/x509/svid.pem'), key: fixture('prod/x509/key.pem') }
const staging = { cert: fixture('staging/x509/svid.pem'), key: fixture('staging/x509/key.pem') }
const root = issueAuthority(null, 'prod.acme.example')
const stranger = issueAuthority(null, 'staging.acme.example')
const server = issue(root, { uris: ['spiffe://prod.acme.example/hallpass'], hosts: ['localhost'] })
const secret = 'a-secret-between-the-proxy-and-us-0123456789'

interface Shown {
  readonly cert?: string
  readonly key?: string
  readonly token?: string
  readonly headers?: Record<string, string | string[]>
  readonly body?: unknown
  readonly agent?: Agent
}

let stack: Stack
let secure: Program
let url: string
let bundle: { keys: object[] }

beforeAll(async () => {
  stack = await startStack({ policies, settings: (base) => ({ ...base, limits: {} }) })
  const { keys } = JSON.parse(fixture('prod/bundle.json')) as { keys: object[] }
  const own = JSON.parse(stack.spiffe.bundle) as { keys: object[] }
  bundle = { keys: [...own.keys, ...keys] }
  trust(root)
  const settings = JSON.parse(readFileSync(stack.configFile, 'utf8')) as StackSettings
  const port = await freePort()
  url = `https://localhost:${port}`
  writeFileSync(join(stack.directory, 'server.pem'), server.cert)
  writeFileSync(join(stack.directory, 'server.key'), server.key)
  writeFileSync(join(stack.directory, 'proxy.secret'), secret)
  const file = join(stack.directory, 'secure.yaml')
  const changed = {
    ...settings,
    listen: `localhost:${port}`,
    tls: { certificate: 'file:server.pem', key: 'file:server.key', client_certificates: true },
    proxy: { certificate_header: 'x-client-cert', secret: 'file:proxy.secret', from: ['127.0.0.1', '::1'] },
    audit: { ...settings.audit, instance: 'secure' },
  }
  writeFileSync(file, JSON.stringify(changed))
  secure = spawnProgram('serve', { hallpass: hallpassProgram, configFile: file })
  await untilStarted(secure)
})
afterAll(async () => {
  await secure?.kill('SIGKILL')
  await stack?.stop()
})

function trust(...authorities: (typeof root)[]) {
  const keys = [...bundle.keys, ...bundleOf(...authorities).keys]
  writeFileSync(join(stack.directory, 'prod.bundle.json'), JSON.stringify({ keys }))
}

function send(method: string, path: string, { token, headers = {}, body, ...tls }: Shown = {}): Promise<Answer> {
  const text = body === undefined ? null : JSON.stringify(body)
  const all = {
    ...(text === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...headers,
  }
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { agent: false, method, headers: all, ca: root.cert, ...tls }, (response) => {
      let answer = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        answer += chunk
      })
      response.on('end', () => {
        const parsed = JSON.parse(answer) as Record<string, unknown>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: answer, body: parsed })
      })
    })
    sent.on('error', reject)
    sent.end(text ?? undefined)
  })
}

const open = (shown: Shown, credentials: object[] = [write]) =>
  send('POST', '/v1/tasks', { ...shown, body: { purpose: 'a test', credentials } })
const refused = (answer: Answer, detail: RegExp) => {
  expectProblem(answer, { status: 401, code: 'invalid_token' })
  expect(String(answer.body.detail)).toMatch(detail)
}
const thumbprintOf = ({ cert }: { cert: string }) =>
  createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url')
const confirmationIn = ({ body }: Answer) => {
  const [{ credential }] = body.credentials as [{ credential: { token: string; token_type: string } }]
  expect(credential.token_type).toBe('Bearer')
  const [, payload = ''] = credential.token.split('.')
  return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { cnf?: unknown }).cnf
}
const minted = () => stack.auditRecords().filter(({ event }) => event === 'lease.reserved').length

describe('a client certificate', () => {
  test('of a real SPIRE is who its SPIFFE ID says, bound', async () => {
    const answer = await open(real)
    expect(answer.status).toBe(201)
    const task = answer.body.task as { id: string; principal: string }
    expect(task.principal).toBe(`prod:${id}`)
    // What is minted is bound to the same key: stolen alone it buys nothing where that is looked at.
    expect(confirmationIn(answer)).toEqual({ 'x5t#S256': thumbprintOf(real) })
    expect((await send('GET', `/v1/tasks/${task.id}`, real)).status).toBe(200)
    expect((await send('POST', `/v1/tasks/${task.id}/complete`, { ...real, body: {} })).status).toBe(200)
    const opened = stack.auditRecords().find(({ event, task: of }) => event === 'lease.reserved' && of === task.id)
    expect(opened).toMatchObject({ chain: 'secure-serve', principal: `prod:${id}` })
  })

  test('over an intermediate that the caller sends, on a fresh connection each time', async () => {
    const middle = issueAuthority(root, 'prod.acme.example', { pathLength: 0 })
    const leaf = issue(middle, { uris: [id] })
    for (let i = 0; i < 2; i++) {
      const answer = await open({ cert: leaf.cert + middle.cert, key: leaf.key })
      expect(answer.status).toBe(201)
    }
  })

  test('beside a token binds it only where it is its own', async () => {
    const token = await stack.svid('/ns/ci/sa/deployer')
    expectProblem(await open({ token }), { status: 403, code: 'binding_required' })
    expect(confirmationIn(await open({ token, ...real }))).toEqual({ 'x5t#S256': thumbprintOf(real) })
    expectProblem(await open({ token: await stack.svid('/agent/ana/coder'), ...real }), {
      status: 403,
      code: 'binding_required',
    })
    expect(confirmationIn(await open({ token, ...staging }, [report]))).toBeUndefined()
  })

  test('that a token is tied to (cnf.x5t#S256) has to be shown', async () => {
    const x5t = thumbprintOf(staging)
    const token = await stack.ciToken({ cnf: { 'x5t#S256': x5t } })
    refused(await open({ token }), /no proof of that key/)
    refused(await open({ token, ...real }), /shows another key/)
    expect(confirmationIn(await open({ token, ...staging }))).toEqual({ 'x5t#S256': x5t })
  })

  test('is no operator, and nobody without a certificate or token', async () => {
    expectProblem(await send('GET', '/v1/locks', real), { status: 403, code: 'not_permitted' })
    refused(await open({}), /Authorization: Bearer/)
    expect((await open({ token: await stack.ciToken() }, [report])).status).toBe(201)
  })
})

test('bad certificates are refused, counted, and mint nothing', async () => {
  const before = minted()
  const now = Date.now()
  const plain = issue(root, { uris: [id] })
  const rows: [{ cert: string; key: string }, RegExp][] = [
    [issue(root, { uris: [id, `${id}-2`] }), /exactly one URI/],
    [issue(root, { uris: [id], ca: true }), /authority \(CA\)/],
    [issue(root, { uris: ['spiffe://other.example/a'] }), /no configured issuer/],
    [issue(stranger, { uris: [id] }), /not signed by an authority/],
    [issue(root, { uris: [id], notAfter: now - 1000 }), /has expired/],
    [issue(root, { uris: [id], usage: null }), /does not say its key usage/],
    [
      (({ cert, key }) => ({ cert: cert + plain.cert, key }))(issue(plain, { uris: [id] })),
      /not signed by an authority/,
    ],
    [issue(null, { uris: [id] }), /not signed by an authority/],
    [staging, /no configured issuer/],
  ]
  for (const [shown, detail] of rows) refused(await open({ cert: shown.cert, key: shown.key }), detail)
  expect(minted()).toBe(before)
})

describe('a living connection', () => {
  test('ends with its certificate', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const short = issue(root, { uris: [id], notAfter: Date.now() + 15_000 })
    const shown = { cert: short.cert, key: short.key, agent }
    expect((await send('GET', '/v1/tasks', shown)).status).toBe(200)
    const last = await until(
      () => send('GET', '/v1/tasks', shown),
      ({ status }) => status === 401,
      60,
    )
    refused(last, /has expired/)
    agent.destroy()
  })

  test('ends when its authority leaves the bundle, and its successor is taken, without a restart', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const next = issueAuthority(null, 'prod.acme.example')
    const old = issue(root, { uris: [id] })
    const fresh = issue(next, { uris: [id] })
    const shown = { cert: old.cert, key: old.key, agent }
    expect((await send('GET', '/v1/tasks', shown)).status).toBe(200)
    refused(await open({ cert: fresh.cert, key: fresh.key }), /not signed by an authority/)
    trust(next)
    const last = await until(
      () => send('GET', '/v1/tasks', shown),
      ({ status }) => status === 401,
      60,
    )
    refused(last, /not signed by an authority/)
    expect((await open({ cert: fresh.cert, key: fresh.key })).status).toBe(201)
    trust(root)
    await until(
      () => send('GET', '/v1/tasks', shown),
      ({ status }) => status === 200,
      60,
    )
    agent.destroy()
  })
})

describe('a proxy before us', () => {
  const forwarded = { 'x-client-cert': encodeURIComponent(real.cert) }
  test('speaks for a caller with its secret alone', async () => {
    const answer = await open({ headers: { ...forwarded, 'hallpass-proxy-secret': secret } })
    expect(answer.status).toBe(201)
    expect(answer.body.task).toMatchObject({ principal: `prod:${id}` })
  })

  test.each<[string, Record<string, string | string[]>]>([
    ['no secret', forwarded],
    ['a wrong secret', { ...forwarded, 'hallpass-proxy-secret': `${secret}x` }],
    ['a wrong secret and no certificate', { 'hallpass-proxy-secret': 'x' }],
  ])('is refused with %s, whatever else the caller shows', async (_name, headers) => {
    const detail = /counts only from the configured proxy/
    refused(await open({ headers }), detail)
    refused(await open({ headers, ...real }), detail)
    refused(await open({ headers, token: await stack.ciToken() }, [report]), detail)
  })

  test('that shows two certificates, or none that can be read, is refused; its own is never the caller', async () => {
    const ours = { 'hallpass-proxy-secret': secret }
    const twice = [forwarded['x-client-cert'], forwarded['x-client-cert']]
    refused(await open({ headers: { ...ours, 'x-client-cert': twice } }), /more than once|cannot be read/)
    refused(await open({ headers: { ...ours, 'x-client-cert': 'x' } }), /cannot be read/)
    refused(await open({ headers: ours, ...real }), /Authorization: Bearer/)
  })

  test('is nothing where none is configured', async () => {
    const headers = { ...forwarded, 'hallpass-proxy-secret': secret }
    const answer = await stack.call('POST', '/v1/tasks', { headers, body: { purpose: 'a test' } })
    refused(answer, /Authorization: Bearer/)
  })
})

test('hallpass request works with HALLPASS_CERT and HALLPASS_KEY', async () => {
  const files = { 'svid.pem': real.cert, 'svid.key': real.key, 'ca.pem': root.cert }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(stack.directory, name), text)
  const env = {
    PATH: process.env.PATH,
    HALLPASS_URL: url,
    HALLPASS_CA: join(stack.directory, 'ca.pem'),
    HALLPASS_CERT: join(stack.directory, 'svid.pem'),
    HALLPASS_KEY: join(stack.directory, 'svid.key'),
  }
  const args = ['request', '--action', write.action, '--resource', write.resource, '--format', 'json']
  const run = (changes: object) =>
    new Promise<string>((resolve) => {
      execFile(process.execPath, [hallpassProgram, ...args], { env: { ...env, ...changes } }, (_e, out, err) =>
        resolve(out + err),
      )
    })
  expect(await run({})).toMatch(/"token"/)
  expect(await run({ HALLPASS_KEY: '' })).toMatch(/HALLPASS_CERT and HALLPASS_KEY go together/)
})

test('who was refused is counted in the audit', async () => {
  await pause(100)
  await secure.kill('SIGTERM')
  const counted = stack
    .auditRecords()
    .filter(({ event, chain }) => event === 'callers.refused' && chain === 'secure-serve')
  const text = JSON.stringify(counted)
  for (const reason of ['has expired', 'is no X.n-SVID', 'counts only from the config', 'not signed by an authority']) {
    expect(text).toContain(reason)
  }
})
