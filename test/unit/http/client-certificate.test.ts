// Certificates in headers, at a real server: both spellings, and only from where and with what the proxy was configured.
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { readClientCertificate } from '../../../src/http/client-certificate.js'
import { createProxyRules, proxyConfig } from '../../../src/identity/certificate-config.js'
import { issue, issueAuthority } from '../../support/certificate-authority.js'

const secret = 'a-secret-between-the-proxy-and-us-0123456789'
const settings = { certificate_header: 'client-cert', secret }
const root = issueAuthority(null, 'prod.acme.example')
const leaf = issue(root, { uris: ['spiffe://prod.acme.example/a'] })
let rules = createProxyRules(proxyConfig.parse(settings))
let server: Server

beforeAll(async () => {
  server = createServer((incoming, outgoing) => {
    try {
      const presented = readClientCertificate(incoming, rules)
      outgoing.end(presented === null ? 'none' : `${presented.read().length} ${presented.read()[0].uris[0]}`)
    } catch (error) {
      outgoing.end(error instanceof Error ? error.message : '')
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterAll(() => new Promise((resolve) => server.close(resolve)))

async function shown(config: object, headers: Record<string, string>): Promise<string> {
  rules = createProxyRules(proxyConfig.parse({ ...settings, ...config }))
  const { port } = server.address() as AddressInfo
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, headers, agent: false }, (response) => {
      response.setEncoding('utf8').on('data', resolve)
    })
    sent.on('error', reject).end()
  })
}

const ours = { 'hallpass-proxy-secret': secret }
const pem = encodeURIComponent(leaf.cert + root.cert)
const sequence = (der: Buffer) => `:${der.toString('base64')}:`
const rfc9440 = { 'client-cert': sequence(leaf.der), 'client-cert-chain': sequence(root.der) }
const refused = /counts only from the configured proxy/

test('PEM and RFC 9440 are read, with the chain', async () => {
  expect(await shown({}, { ...ours, 'client-cert': pem })).toBe('2 spiffe://prod.acme.example/a')
  expect(await shown({ format: 'rfc9440' }, { ...ours, ...rfc9440 })).toBe('2 spiffe://prod.acme.example/a')
  expect(await shown({ format: 'rfc9440' }, { ...ours, 'client-cert': pem })).toMatch(/cannot be read/)
  expect(await shown({}, { ...ours, 'client-cert': `${pem}x` })).toMatch(/cannot be read/)
  expect(await shown({}, { ...ours, 'client-cert': '%' })).toMatch(/cannot be read/)
  expect(await shown({}, { ...ours, 'client-cert': '' })).toBe('none')
  expect(await shown({}, {})).toBe('none')
})

test('a header without the secret, or from elsewhere, is refused and not ignored', async () => {
  expect(await shown({}, { 'client-cert': pem })).toMatch(refused)
  expect(await shown({}, { 'client-cert': '' })).toMatch(refused)
  expect(await shown({ format: 'rfc9440' }, { 'client-cert-chain': sequence(root.der) })).toMatch(refused)
  expect(await shown({}, { 'client-cert': pem, 'hallpass-proxy-secret': secret.slice(1) })).toMatch(refused)
  expect(await shown({ from: ['10.0.0.0/8', '::1'] }, { ...ours, 'client-cert': pem })).toMatch(refused)
  expect(await shown({ from: ['127.0.0.0/8'] }, { ...ours, 'client-cert': pem })).toMatch(/^2 /)
})

test('networks are those of the peer, whichever family the socket names it in', () => {
  const { isFrom } = createProxyRules(proxyConfig.parse({ ...settings, from: ['10.0.0.0/8', '192.0.2.1', 'fd00::/8'] }))
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '192.0.2.1', 'fd00::1']) expect(isFrom(address)).toBe(true)
  for (const address of ['11.1.2.3', '::ffff:11.1.2.3', '192.0.2.2', 'fe80::1', '']) expect(isFrom(address)).toBe(false)
})

test.each<[string, object]>([
  ['a short secret', { secret: 'short' }],
  ['a header that means something', { certificate_header: 'authorization' }],
  ['one header for both', { secret_header: 'client-cert' }],
  ['no network', { from: ['10.0.0.0/33'] }],
  ['an empty list of networks', { from: [] }],
  ['an unknown key', { trust: true }],
])('%s stops start-up', (_name, change) => {
  expect(proxyConfig.safeParse({ ...settings, ...change }).success).toBe(false)
})
