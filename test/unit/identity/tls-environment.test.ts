// Keys come over TLS that is checked, whatever the environment says: who can put a variable there is not who may name signers.
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { runInThisContext } from 'node:vm'
import { expect, test } from '@jest/globals'
import { fetchJson } from '../../../src/identity/remote-document.js'
import { issue, issueAuthority, serverAuth } from '../../support/certificate-authority.js'

const untrusting = 'NODE_TLS_REJECT_UNAUTHORIZED'

test('a certificate of nobody known is refused, and taken from whom the bundle says', async () => {
  const authority = issueAuthority(null, 'acme.example')
  const { cert, key } = issue(authority, { name: 'localhost', purposes: [serverAuth] })
  let asked = 0
  const server = createServer({ cert, key }, (_request, response) => {
    asked += 1
    response.end('{"keys":[]}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `https://localhost:${(server.address() as AddressInfo).port}/jwks`
  const bounds = {
    addresses: 'loopback' as const,
    resolveHost: async () => [{ address: '127.0.0.1', family: 4 }],
    timeoutMs: 30_000,
    maxBytes: 1024,
  }
  // The test runner gives its tests a copy of the environment; TLS reads the program's own.
  const env = runInThisContext('process.env') as NodeJS.ProcessEnv
  env[untrusting] = '0'
  try {
    await expect(fetchJson(url, bounds)).rejects.toThrow(/self.signed|unable to verify/i)
    expect(asked).toBe(0)
  } finally {
    delete env[untrusting]
  }
  try {
    expect(await fetchJson(url, { ...bounds, server: { ca: [authority.cert] } })).toEqual({ keys: [] })
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
})
