import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runInThisContext } from 'node:vm'
import { afterEach, describe, expect, test } from '@jest/globals'
import { Secret } from '../../../src/core/secret.js'
import { ProviderError } from '../../../src/providers/provider.js'
import { createVaultTransport, type VaultRequest, type VaultTransport } from '../../../src/providers/vault-transport.js'

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

async function serve(
  respond: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ server: Server; address: string }> {
  const server = createServer(respond).listen(0, '127.0.0.1')
  await once(server, 'listening')
  stops.push(() => {
    server.close()
    server.closeAllConnections()
  })
  const bound = server.address()
  return { server, address: `http://127.0.0.1:${typeof bound === 'object' && bound ? bound.port : 0}` }
}

function transportTo(address: string): VaultTransport {
  const transport = createVaultTransport({ address, sockets: 4 })
  stops.push(() => transport.close())
  return transport
}

const token = new Secret('hvs.the-token-itself')
const request: VaultRequest = {
  method: 'POST',
  path: 'auth/jwt/login',
  body: { jwt: 'the-jwt-itself' },
  token,
  timeoutMs: 20_000,
}

async function failure(address: string, changes: Partial<VaultRequest> = {}): Promise<ProviderError> {
  const error: unknown = await transportTo(address)
    .send({ ...request, ...changes })
    .catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ProviderError)
  const text = `${(error as Error).stack} ${JSON.stringify(error, Object.getOwnPropertyNames(error))}`
  expect(text).not.toMatch(/the-token-itself|the-jwt-itself/)
  return error as ProviderError
}

describe('an answer that never ends well', () => {
  // Without its time-out the exchange would last for ever, and this test with it.
  const cutInTime = { kind: 'unavailable', message: expect.stringContaining('no answer in time') }

  test('silence is cut at the time-out', async () => {
    const { address } = await serve(() => {})
    expect(await failure(address, { timeoutMs: 400 })).toMatchObject(cutInTime)
  })

  test('a drip is cut too: the time-out is for the whole exchange', async () => {
    const { address } = await serve((_request, response) => {
      response.writeHead(200)
      const drip = setInterval(() => response.write(' '), 50)
      response.on('close', () => clearInterval(drip))
    })
    expect(await failure(address, { timeoutMs: 400 })).toMatchObject(cutInTime)
  })

  test('an endless answer is cut at a mebibyte', async () => {
    let sent = 0
    const { address } = await serve((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 0x20))) sent += 65_536
        response.once('drain', more)
      }
      response.writeHead(200)
      more()
    })
    expect((await failure(address)).message).toContain('over 1048576 bytes')
    expect(sent).toBeLessThan(64 * 1024 * 1024)
  })

  test.each([['<html>proxy</html>'], ['{"auth":'], ['\u0000\u0001']])('garbage %j is no answer', async (garbage) => {
    const { address } = await serve((_request, response) => response.writeHead(200).end(garbage))
    expect(await failure(address)).toMatchObject({ kind: 'retryable', message: expect.stringContaining('not JSON') })
  })

  test('a redirect is not followed, so token and body go nowhere else', async () => {
    let reached = 0
    const elsewhere = await serve((_request, response) => {
      reached++
      response.end('{}')
    })
    const { address } = await serve((_request, response) => {
      response.writeHead(307, { Location: `${elsewhere.address}/v1/auth/jwt/login` }).end()
    })
    expect((await failure(address)).message).toContain('redirected (307)')
    expect(reached).toBe(0)
  })

  test('nobody listening, and a connection cut half-way', async () => {
    const { server, address } = await serve((_request, response) => {
      response.writeHead(200, { 'Content-Length': '100' })
      response.write('{')
      setTimeout(() => response.destroy(), 20)
    })
    expect(await failure(address)).toMatchObject({ kind: 'unavailable' })
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
    expect((await failure(address)).message).toContain('not reachable (ECONNREFUSED)')
  })
})

const trusting = { VAULT_SKIP_VERIFY: '1', NODE_TLS_REJECT_UNAUTHORIZED: '0' }

describe('TLS', () => {
  test('the configured authority alone is trusted, whatever the environment says', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hallpass-tls-'))
    stops.push(() => rmSync(folder, { recursive: true }))
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const subject = ['-subj', '/CN=vault.test', '-addext', 'subjectAltName=IP:127.0.0.1']
    const make = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '1',
      ...subject,
    ]
    execFileSync('openssl', [...make, '-keyout', key, '-out', cert], { stdio: 'ignore' })
    const ca = readFileSync(cert, 'utf8')
    const server = createTlsServer({ key: readFileSync(key), cert: ca }, (_request, response) => response.end('{}'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const bound = server.address()
    const address = `https://127.0.0.1:${typeof bound === 'object' && bound ? bound.port : 0}`
    stops.push(() => server.close().closeAllConnections())
    // The test runner gives its tests a copy; TLS reads the program's own.
    const ownEnv = runInThisContext('process.env') as NodeJS.ProcessEnv
    for (const env of [process.env, ownEnv]) Object.assign(env, trusting)
    try {
      expect((await failure(address, { timeoutMs: 20_000 })).message).toContain('DEPTH_ZERO_SELF_SIGNED_CERT')
    } finally {
      for (const env of [process.env, ownEnv]) for (const name in trusting) delete env[name]
    }
    const transport = createVaultTransport({ address, ca, sockets: 2 })
    stops.push(() => transport.close())
    expect(await transport.send(request)).toEqual({ status: 200, body: {} })
  })
})

describe('what it sends', () => {
  test('any status with a JSON body is an answer, an empty one too', async () => {
    const { address } = await serve((incoming, response) => {
      if (incoming.url === '/v1/empty') response.writeHead(204).end()
      else response.writeHead(202).end('{"a":1}')
    })
    const transport = transportTo(address)
    expect(await transport.send({ ...request, path: 'empty' })).toEqual({ status: 204, body: null })
    expect(await transport.send(request)).toEqual({ status: 202, body: { a: 1 } })
  })

  test('nothing of VAULT_*, of a proxy or of an earlier call', async () => {
    const hostile = {
      VAULT_TOKEN: 'from-the-environment',
      VAULT_NAMESPACE: 'from-the-environment',
      VAULT_PREFIX: '/from-the-environment',
      VAULT_ADDR: 'http://127.0.0.1:1',
      VAULT_SKIP_VERIFY: '1',
      HTTP_PROXY: 'http://127.0.0.1:1',
      http_proxy: 'http://127.0.0.1:1',
    }
    const seen: IncomingMessage[] = []
    const { address } = await serve((incoming, response) => {
      seen.push(incoming)
      response.end('{}')
    })
    const before = { ...process.env }
    Object.assign(process.env, hostile)
    try {
      const transport = transportTo(address)
      await transport.send({ ...request, namespace: 'team' })
      await transport.send({ method: 'GET', path: 'sys/health', timeoutMs: 20_000 })
    } finally {
      for (const name of Object.keys(hostile)) delete process.env[name]
      Object.assign(process.env, before)
    }
    const [first, second] = seen
    expect(first?.headers).toMatchObject({ 'x-vault-token': token.reveal(), 'x-vault-namespace': 'team' })
    expect(second?.url).toBe('/v1/sys/health')
    expect(second?.headers).not.toHaveProperty('x-vault-token')
    expect(second?.headers).not.toHaveProperty('x-vault-namespace')
  })

  test('twenty calls over one connection', async () => {
    const { server, address } = await serve((_request, response) => response.end('{}'))
    let connections = 0
    server.on('connection', () => connections++)
    const transport = transportTo(address)
    for (let i = 0; i < 20; i++) await transport.send(request)
    expect(connections).toBe(1)
  })

  test('a path with dot segments is refused and not sent', async () => {
    let calls = 0
    const { address } = await serve((_request, response) => {
      calls++
      response.end('{}')
    })
    expect(await failure(address, { path: 'secret/../sys/seal' })).toMatchObject({ kind: 'permanent' })
    expect(calls).toBe(0)
  })

  test('a dead pooled connection costs a repeatable call nothing, and a mint is never sent twice', async () => {
    let calls = 0
    const { address } = await serve((incoming, response) => {
      calls++
      // The first call on each connection is answered, the second cuts it.
      if (calls % 2 === 1) response.end('{}')
      else incoming.socket.destroy()
    })
    const transport = transportTo(address)
    await transport.send(request)
    expect(await transport.send({ ...request, repeatable: true })).toEqual({ status: 200, body: {} })
    expect(calls).toBe(3)
    await expect(transport.send(request)).rejects.toMatchObject({ kind: 'unavailable' })
    expect(calls).toBe(4)
  })
})
