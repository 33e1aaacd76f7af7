// A broker whose SPIFFE trust bundle comes from an agent's Workload API: start before the agent, rotation, reload, doctor, end.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { startWorkloadApi, type WorkloadApiServer } from '../../scripts/servers/stand-ins/workload-api.js'
import { runHallpassOnHost } from '../support/run-hallpass.js'
import { type Stack, startStack } from '../support/stack.js'

let folder: string
let stack: Stack
let agent: WorkloadApiServer | null = null

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'agent-'))
  const bundle = { workload_api: `unix://${folder}/agent.sock` }
  stack = await startStack({
    programs: ['dev'],
    settings: (base) => ({ ...base, issuers: { ...base.issuers, prod: { ...base.issuers.prod, bundle } } }),
  })
})
afterAll(async () => {
  await stack?.stop()
  agent?.stop()
  rmSync(folder, { recursive: true })
})

const bundles = () => ({ jwt: { 'spiffe://prod.acme.example': stack.spiffe.bundle }, x509: {} })
const openTask = async () =>
  (await stack.call('POST', '/v1/tasks', { token: await stack.svid(), body: { purpose: 'a bundle from the agent' } }))
    .status

async function until(look: () => unknown, expected: unknown): Promise<void> {
  const end = Date.now() + 30_000
  let seen = await look()
  while (seen !== expected && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    seen = await look()
  }
  expect(seen).toBe(expected)
}

test('a broker takes, rotates and lets go what the agent streams', async () => {
  const broker = stack.programs.dev
  expect(await openTask()).toBe(503)
  await until(() => broker?.output().includes('a trust bundle was not taken'), true)

  const svids = async ([audience = '']: readonly string[]) => {
    const svid = await stack.spiffe.signJwtSvid('/agent/ana/coder', audience)
    return [{ spiffe_id: 'spiffe://prod.acme.example/agent/ana/coder', svid }]
  }
  agent = await startWorkloadApi(join(folder, 'agent.sock'), bundles(), svids)
  await until(openTask, 201)
  // Both kinds of bundle have a stream; the one that is not needed for this may come a moment later.
  await until(async () => agent?.listeners() ?? 0, 2)

  // The same agent tells the commands who they are: nothing else in their environment does.
  process.env.SPIFFE_ENDPOINT_SOCKET = agent.socket
  const script = ['exec', '--action', 'report.read', '--resource', 'repo:acme/web', '--', 'sh', '-c']
  const ran = await stack.run(...script, 'test -n "$HALLPASS_CREDENTIAL" && echo used')
  expect(ran).toMatchObject({ code: 0, stdout: 'used\n' })
  delete process.env.SPIFFE_ENDPOINT_SOCKET

  agent.publish({ jwt: { 'spiffe://prod.acme.example': '{"keys":[]}' }, x509: {} })
  await until(openTask, 401)
  agent.publish(bundles())
  await until(openTask, 201)

  // Doctor looks on streams of its own, and ends.
  expect((await runHallpassOnHost(stack, 'doctor')).output).toContain('ok    issuer prod: 1 usable key')
  await until(() => agent?.listeners(), 2)

  // A changed configuration is taken with new streams; the old ones end.
  const { FetchJWTBundles } = agent.opened
  writeFileSync(stack.configFile, `${readFileSync(stack.configFile, 'utf8')}\n`)
  await until(() => (broker?.output() ?? '').includes('were loaded anew'), true)
  await until(openTask, 201)
  await until(() => agent?.opened.FetchJWTBundles, FetchJWTBundles + 1)
  await until(() => agent?.listeners(), 2)

  expect(await broker?.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  await until(() => agent?.listeners(), 0)
})
