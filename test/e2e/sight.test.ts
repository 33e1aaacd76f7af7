// What operators see of running programs: metrics of both doors, and one log line per revocation attempt.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { freePort } from '../../scripts/servers/free-port.js'
import { type Stack, startStack } from '../support/stack.js'
import { until } from '../support/wire-checks.js'

let stack: Stack
let worker: string
beforeAll(async () => {
  const address = `127.0.0.1:${await freePort()}`
  worker = `http://${address}`
  stack = await startStack({
    settings: (base) => ({ ...base, listen: { workloads: base.listen, worker: address } }),
  })
}, 120_000)
afterAll(() => stack.stop())

const textOf = async (url: string) => (await fetch(url)).text()

test('a lease and its end are seen at the broker and at the worker alike', async () => {
  const token = await stack.ciToken()
  const opened = await stack.call('POST', '/v1/tasks', {
    token,
    body: { purpose: 'a look', credentials: [{ action: 'report.read', resource: 'repo:acme/web' }] },
  })
  expect(opened.status).toBe(201)
  const { task, credentials } = opened.body as { task: { id: string }; credentials: { lease: { id: string } }[] }
  // Scrapes within a few seconds are answered from the last look, which may be one from before.
  for (const url of [stack.url, worker])
    await until(
      () => textOf(`${url}/metrics`),
      (text) => text.includes('hallpass_leases{provider="tokens",state="active"} 1'),
      30,
    )
  const done = await stack.call('POST', `/v1/tasks/${task.id}/complete?wait_seconds=30`, { token, body: {} })
  expect(done.status).toBe(200)
  const text = await until(
    () => textOf(`${worker}/metrics`),
    (seen) => seen.includes('hallpass_leases{provider="tokens",state="active"} 0'),
    30,
  )
  expect(text).toContain('hallpass_leases{provider="tokens",state="active"} 0')
  expect(text).toContain('hallpass_leases_ended_total{provider="tokens",state="revoked"} 1')
  expect(text).toMatch(/hallpass_revocation_seconds_count\{provider="tokens"\} 1/)
  const lease = credentials[0]?.lease.id ?? 'none'
  const written = () => (stack.programs.worker?.output() ?? '').split('\n').slice(0, -1)
  const lines = await until(
    () => written().filter((line) => line.includes(lease)),
    (seen) => seen.length > 0,
    30,
  )
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { msg: 'revocation', lease, provider: 'tokens', attempt: 1, outcome: 'confirmed', state: 'revoked' },
  ])
}, 120_000)

test('the worker says whether it is alive and ready, and nothing else', async () => {
  expect((await fetch(`${worker}/healthz`)).status).toBe(200)
  await until(
    async () => (await fetch(`${worker}/readyz`)).status,
    (status) => status === 200,
  )
  expect((await fetch(`${worker}/v1/tasks`)).status).toBe(404)
})
