// The compose file's one-shot `init`, run for real into a folder: what it makes is what the services can use.
import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'

const script = resolve('config/compose/tools/init.sh')
const hasOpenssl = spawnSync('openssl', ['version']).status === 0

// Without openssl there is nothing to run: the rest of the stack is checked by compose.test.ts.
// Where nothing may be left out, a missing program fails instead.
const described = hasOpenssl || process.env.HALLPASS_REQUIRE_REAL === '1' ? describe : describe.skip

described('init', () => {
  let root: string
  const read = (path: string) => readFileSync(join(root, path), 'utf8')
  const certificate = (path: string) => new X509Certificate(read(path))

  function run(): void {
    const env = { PATH: process.env.PATH, INIT_ROOT: root, INIT_TEMPLATES: resolve('config/compose/redis') }
    const ended = spawnSync('sh', [script], { env, encoding: 'utf8' })
    if (ended.status !== 0) throw new Error(`init ended with ${ended.status}: ${ended.stderr}`)
  }

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'hallpass-init-'))
    const volumes = [...readFileSync('docker-compose.yml', 'utf8').matchAll(/:\/volumes\/([a-z-]+)$/gm)]
    for (const [, name = ''] of volumes) mkdirSync(join(root, name))
    run()
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  test.each(['hallpass broker', 'openbao-tls openbao', 'sts-tls sts'])(
    '%s: a server certificate of our authority',
    (pair) => {
      const [volume = '', host = ''] = pair.split(' ')
      const authority = certificate('ca/ca.pem')
      const own = certificate(`${volume}/tls.pem`)
      expect(own.verify(authority.publicKey)).toBe(true)
      expect(own.checkHost(host)).toBe(host)
      expect(own.checkHost('localhost')).toBe('localhost')
      expect(own.ca).toBe(false)
    },
  )

  test('SPIRE’s nodes have an authority that signs nothing else', () => {
    const node = certificate('spire-agent-tls/node.pem')
    expect(node.verify(certificate('spire-server-tls/spire-nodes.pem').publicKey)).toBe(true)
    expect(node.verify(certificate('spire-agent-tls/root.pem').publicKey)).toBe(false)
    expect(node.subject).toBe('CN=compose')
  })

  test('Redis knows the digest alone of the password that Hallpass has', () => {
    const password = new URL(read('hallpass/redis.url')).password
    const acl = read('redis-acl/users.acl')
    expect(password).toMatch(/^[0-9a-f]{64}$/)
    expect(acl).toMatch(/#[0-9a-f]{64} /)
    expect(acl).not.toContain(password)
    expect(acl).not.toContain('@DIGEST@')
  })

  test('a second run leaves everything as it is', () => {
    const files = ['ca/ca.pem', 'hallpass/tls.key', 'hallpass/sealing.key', 'hallpass/redis.url', 'redis-acl/users.acl']
    const before = files.map(read)
    run()
    expect(files.map(read)).toEqual(before)
    expect(Buffer.from(read('hallpass/sealing.key'), 'base64')).toHaveLength(32)
  })
})
