// Who we are by the SPIFFE Workload API: a real gRPC server on a Unix socket, the published proto.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { startWorkloadApi, type WorkloadApiServer } from '../../../scripts/servers/stand-ins/workload-api.js'
import { type Environment, findSubjectTokenSource, isRenewable } from '../../../src/client/index.js'

let folder: string
let agent: WorkloadApiServer
let asked: (readonly string[])[]
let identities: { spiffe_id: string; svid: string }[]

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'agent-'))
  asked = []
  identities = [
    { spiffe_id: 'spiffe://prod.acme.example/agent/ana/coder', svid: 'the.default.one' },
    { spiffe_id: 'spiffe://prod.acme.example/agent/ana/other', svid: 'an.other.one' },
  ]
  agent = await startWorkloadApi(join(folder, 'agent.sock'), { jwt: {}, x509: {} }, async (audience) => {
    asked.push(audience)
    return identities
  })
})
afterEach(() => {
  agent.stop()
  rmSync(folder, { recursive: true })
})

const sourceFor = (environment: Environment, audience = 'https://hallpass.test') =>
  findSubjectTokenSource({
    environment,
    findAudience: async () => audience,
    kubernetesTokenFile: join(folder, 'projected'),
  })
const byAgent = () => ({ SPIFFE_ENDPOINT_SOCKET: agent.socket })

describe('the SPIFFE Workload API', () => {
  test.each([['unix:///'], ['unix:/']])('named as %s… is asked for a token for the broker alone', async (start) => {
    const source = sourceFor({ SPIFFE_ENDPOINT_SOCKET: agent.socket.replace('unix:///', start) })
    expect(source.name).toBe('the SPIFFE Workload API')
    expect(await source.read()).toBe('the.default.one')
    expect(asked).toEqual([['https://hallpass.test']])
  })

  test('is asked anew for each call, so that a long command never runs out of tokens', async () => {
    const source = sourceFor(byAgent())
    await source.read()
    identities = [{ spiffe_id: 'spiffe://prod.acme.example/agent/ana/coder', svid: 'a.newer.one' }]
    expect(await source.read()).toBe('a.newer.one')
    expect(isRenewable(byAgent())).toBe(true)
  })

  test('comes after everything that was set on purpose', async () => {
    expect(sourceFor({ ...byAgent(), HALLPASS_TOKEN: 'a.b.c' }).name).toBe('HALLPASS_TOKEN')
    expect(sourceFor({ ...byAgent(), HALLPASS_ID_TOKEN: 'a.b.c' }).name).toBe('HALLPASS_ID_TOKEN')
  })

  test('that knows us not gives no token; one that is away is an outage', async () => {
    identities = []
    const refused = { code: 'no_subject_token', detail: expect.stringContaining('no identity issued') }
    await expect(sourceFor(byAgent()).read()).rejects.toMatchObject(refused)
    agent.refuse({ code: status.UNAVAILABLE, details: 'starting' })
    await expect(sourceFor(byAgent()).read()).rejects.toMatchObject({ code: 'unavailable' })
    const gone = sourceFor({ SPIFFE_ENDPOINT_SOCKET: `unix://${folder}/gone.sock` })
    await expect(gone.read()).rejects.toMatchObject({ code: 'unavailable' })
  })

  test.each([['unix://relative'], ['tcp://10.0.0.5:8081'], ['tcp://agent.acme.example:8081'], ['/run/agent.sock']])(
    '%s is no agent’s socket',
    async (SPIFFE_ENDPOINT_SOCKET) => {
      await expect(sourceFor({ SPIFFE_ENDPOINT_SOCKET }).read()).rejects.toMatchObject({
        code: 'invalid_configuration',
      })
    },
  )

  test('is not asked for a token that others would take', async () => {
    await expect(sourceFor(byAgent(), 'sts.amazonaws.com').read()).rejects.toMatchObject({ code: 'invalid_answer' })
    expect(asked).toEqual([])
  })
})
