// The client's proofs, as a broker reads them, and what it does when one is wanted otherwise.
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import {
  type BrokerMetadata,
  boundAudienceOf,
  createBrokerClient,
  createDpopKey,
  subjectTokenFrom,
} from '../../../src/client/index.js'
import { systemClock } from '../../../src/core/clock.js'
import { verifyProof } from '../../../src/identity/dpop-proof.js'

let seen: { url: string; method: string; headers: IncomingHttpHeaders }[]
let answer: { status: number; headers?: Record<string, string>; body?: object }[]
let server: Server
let url: string
beforeEach(async () => {
  seen = []
  answer = []
  server = createServer((request, response) => {
    seen.push({ url: request.url ?? '', method: request.method ?? '', headers: request.headers })
    const next = answer.shift() ?? { status: 200, body: { tasks: [], next_cursor: null } }
    response.writeHead(next.status, next.headers).end(JSON.stringify(next.body ?? {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => void server.close())

const token = 'the.subject.token'
const clientWith = (dpop?: ReturnType<typeof createDpopKey>, path = '') =>
  createBrokerClient({ url: url + path, tokenSource: subjectTokenFrom(() => token), dpop })
const wantNonce = (nonce: string) => ({
  status: 401,
  headers: { 'dpop-nonce': nonce, 'www-authenticate': 'DPoP error="use_dpop_nonce"' },
  body: { type: 'about:blank', title: 't', status: 401, code: 'use_dpop_nonce', detail: 'd' },
})
const proofs = () => seen.map(({ headers }) => String(headers.dpop))
const claims = (proof: string) =>
  JSON.parse(Buffer.from(proof.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>

describe('a client with a key', () => {
  test('sends proofs that a broker takes, each with a jti of its own, below a path too', async () => {
    const key = createDpopKey()
    const client = clientWith(key, '/broker')
    await client.listTasks({ state: 'open' })
    await client.listTasks()
    for (const { method, url: path, headers } of seen) {
      expect(headers.authorization).toBe(`DPoP ${token}`)
      const rules = { baseUrl: url, maxAgeSeconds: 60, nonces: null }
      const proof = await verifyProof(String(headers.dpop), { method, path, token }, rules, systemClock)
      expect(proof.jkt).toBe(await key.thumbprint())
    }
    expect(new Set(proofs().map((proof) => claims(proof).jti)).size).toBe(2)
  })

  test('repeats a call once with the nonce, and keeps it for the next', async () => {
    const client = clientWith(createDpopKey())
    answer = [wantNonce('one')]
    await client.listTasks()
    await client.listTasks()
    expect(proofs().map((proof) => claims(proof).nonce)).toEqual([undefined, 'one', 'one'])
  })

  test('does not follow for ever', async () => {
    answer = ['one', 'two', 'three'].map(wantNonce)
    await expect(clientWith(createDpopKey()).listTasks()).rejects.toMatchObject({ code: 'use_dpop_nonce' })
    expect(seen).toHaveLength(2)
  })

  test('does not repeat what was refused for another reason', async () => {
    answer = [{ ...wantNonce('one'), headers: { 'dpop-nonce': 'one' } }]
    await expect(clientWith(createDpopKey()).listTasks()).rejects.toMatchObject({ status: 401 })
    expect(seen).toHaveLength(1)
  })

  test('shows a task token as a bearer, without a proof', async () => {
    await expect(clientWith(createDpopKey()).showTask('task_1', { taskToken: 'of.the.task' })).rejects.toThrow()
    expect(seen[0]?.headers).toMatchObject({ authorization: 'Bearer of.the.task' })
    expect(seen[0]?.headers).not.toHaveProperty('dpop')
  })
})

test('a client without a key proves nothing', async () => {
  await clientWith().listTasks()
  expect(seen[0]?.headers).toMatchObject({ authorization: `Bearer ${token}` })
  expect(seen[0]?.headers).not.toHaveProperty('dpop')
})

test('the audience names the key where the broker says that this binds it', async () => {
  const issuer = 'https://broker.example'
  const broker: BrokerMetadata = { issuer, audiences: [issuer], dpop_bound_audiences: [], login: [] }
  const key = createDpopKey()
  const bound = { ...broker, dpop_bound_audiences: [issuer] }
  expect(await boundAudienceOf(broker, key)).toBe(issuer)
  expect(await boundAudienceOf(bound, undefined)).toBe(issuer)
  expect(await boundAudienceOf(bound, key)).toBe(`${issuer}#jkt=${await key.thumbprint()}`)
})
