// The bare floor: what an exchange costs when nothing is decided, recorded or promised. node:http, one verified JWT, one Lua
// script that writes a record and an index, one signed JWT. Hallpass is measured as a share of this.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { generateKeyPair, importJWK, type JWK, jwtVerify, SignJWT } from 'jose'
import { createId } from '../../src/core/ids.js'
import { connectFailFast, untilReady } from '../../src/ledger/connection.js'

export interface FloorOptions {
  readonly redisUrl: string
  readonly prefix: string
  readonly issuerKey: JWK
  readonly issuer: string
  readonly audience: string
}

const script = `redis.call('HSET', KEYS[1], 'state', 'active', 'rec', ARGV[1])
redis.call('PEXPIRE', KEYS[1], 600000)
redis.call('ZADD', KEYS[2], ARGV[2], KEYS[1])
return 1`

/** Starts it on a free loopback port and tells the parent which. */
async function startFloor(options: FloorOptions): Promise<void> {
  const redis = connectFailFast({ url: options.redisUrl, prefix: '' }, () => undefined)
  if (!(await untilReady(redis, 5000))) throw new Error('Redis cannot be reached')
  redis.defineCommand('write_floor', { numberOfKeys: 2, lua: script })
  const write = (redis as unknown as Record<string, (...args: (string | number)[]) => Promise<number>>).write_floor
  const key = await importJWK(options.issuerKey, 'ES256')
  const { privateKey } = await generateKeyPair('ES256')
  const expected = { issuer: options.issuer, audience: options.audience, algorithms: ['ES256'] }
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const asked = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, unknown>
    const { payload } = await jwtVerify(request.headers.authorization?.slice('Bearer '.length) ?? '', key, expected)
    const now = Date.now()
    const lease = createId('lease', now)
    const record = JSON.stringify({
      ...asked,
      principal: payload.sub,
      account: payload.sub,
      request: createId('req', now),
    })
    await write?.call(redis, `{${options.prefix}}:l:${lease}`, `{${options.prefix}}:due`, record, now + 3_600_000)
    const token = await new SignJWT({ ...payload, jti: lease, aud: 'https://reports.acme.example' })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'floor' })
      .sign(privateKey)
    const body = JSON.stringify({ lease: { id: lease }, credential: { type: 'jwt', token } })
    response.writeHead(201, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body)
  }
  const server = createServer((request, response) => {
    // As Hallpass answers where its ledger does not answer in time: with all that the load reads.
    answer(request, response).catch(() => response.writeHead(503, { 'content-length': 0 }).end())
  })
  server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
}

process.once('message', (options: FloorOptions) => void startFloor(options))
process.once('disconnect', () => process.exit())
