import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { schemaInputOf } from '../../../src/config/cross-checks.js'
import { loadConfig, parseConfig } from '../../../src/config/load.js'
import { loadPolicies } from '../../../src/config/load-policies.js'
import { ConfigError } from '../../../src/config/problems.js'
import { Secret } from '../../../src/core/secret.js'
import { redisSettings } from '../../../src/ledger/redis-config.js'
import { type ExampleFolder, exampleEnv, writeExample } from '../../support/example-config.js'

let example: ExampleFolder
beforeAll(() => {
  example = writeExample()
})
afterAll(() => example.remove())

const load = (text: string, env: Record<string, string | undefined> = exampleEnv) =>
  parseConfig(text, example.file, env).settings
const replaced = (from: string, to: string) => {
  if (!example.text.includes(from)) throw new Error(`the example has no ${from}`)
  return example.text.replace(from, to)
}

describe('the example configuration', () => {
  test('loads unchanged, with the defaults of the contract', async () => {
    const { settings } = await loadConfig(example.file, exampleEnv)
    expect(settings.listen).toEqual({
      workloads: { host: '127.0.0.1', port: 8700 },
      operators: null,
      metrics: null,
      worker: null,
    })
    expect(settings.limits).toEqual({
      lease: { ttl: 3600 },
      task: { ttl: 28_800, active_leases: 50, depth: 5, events: 10_000 },
      account: {
        memory: 86_400,
        active_leases: 200,
        open_tasks: 100,
        requests_per_minute: 300,
        pending_approvals: 10,
        approval_cooldown: 300,
      },
      provider: { active_leases: 10_000 },
    })
    expect(load(example.text.slice(0, example.text.indexOf('\nlimits:'))).limits).toEqual(settings.limits)
    expect(settings.grants['database.migrate']).toMatchObject({
      access: 'write',
      resourceType: 'database',
      ttl: { defaultSeconds: 300, maxSeconds: 900 },
      context: { change_type: { oneOf: ['schema', 'data'], optional: false }, ticket: { optional: true } },
      standing: false,
      require: { approval: null, binding: null, maxTtlSeconds: null },
    })
    expect(settings.grants['deploy.run']?.require.binding).toBe('any')
    expect((await loadPolicies(settings)).policies).toHaveLength(11)
    expect(schemaInputOf(settings).issuers.prod?.attributes).toMatchObject({ namespace: 'String', agent: 'String' })
  })

  test.each(['redis://:hunter2@127.0.0.1', 'redis://127.0.0.1:6379/0?password=hunter2'])(
    'refuses a password that is written out: %s',
    (url) => {
      const text = replaced('redis: { url: env:REDIS_URL', `redis: { url: "${url}"`)
      expect(() => load(text)).toThrow(/redis\.url: is a secret: expected a reference/)
    },
  )

  test('takes paths from its own folder', async () => {
    const { settings } = await loadConfig(example.file, exampleEnv)
    expect(settings.policies).toBe(join(example.folder, 'policies'))
    expect(settings.keys.directory).toBe(join(example.folder, 'keys'))
    expect(settings.audit.directory).toBe('/var/lib/hallpass/audit')
    const { prod } = settings.issuers
    expect(prod?.type === 'spiffe' && prod.bundle.file).toBe(join(example.folder, 'prod.bundle.json'))
  })

  test('shows no secret when it is printed, and cannot be changed', async () => {
    const { settings } = await loadConfig(example.file, { ...exampleEnv, REDIS_URL: 'redis://:hunter2@127.0.0.1' })
    const printed = JSON.stringify(settings)
    expect(printed).not.toContain('hunter2')
    expect(printed).not.toContain(exampleEnv.HALLPASS_SEALING_KEY)
    expect(printed).not.toContain('PRIVATE KEY')
    expect(settings.keys.sealing).toBeInstanceOf(Secret)
    expect(settings.keys.sealing.reveal()).toBe(exampleEnv.HALLPASS_SEALING_KEY)
    expect(redisSettings(settings.redis)).toEqual({ url: 'redis://:hunter2@127.0.0.1', prefix: 'hallpass' })
    expect(() => Object.assign(settings.limits.task, { depth: 99 })).toThrow(TypeError)
    expect(() => Object.assign(settings.grants, { extra: 1 })).toThrow(TypeError)
  })

  test('still matches its patterns when frozen', () => {
    const pattern = load(example.text).grants['database.migrate']?.context.ticket?.pattern
    expect([pattern?.test('OPS-1'), pattern?.test('OPS-'), pattern?.test('OPS-2')]).toEqual([true, false, true])
  })
})

describe('references', () => {
  test('become the type that the setting wants, and text where it wants text', () => {
    const text = replaced('concurrency: 16', 'concurrency: env:N').replace(
      'repository_owner_id: "65"',
      'repository_owner_id: env:N',
    )
    const settings = load(text, { ...exampleEnv, N: '8' })
    expect(settings.providers.vault).toMatchObject({ concurrency: 8 })
    expect(settings.issuers.ci).toMatchObject({ require: { repository_owner_id: '8' } })
  })

  test('to files lose one last line feed and nothing else', () => {
    writeFileSync(join(example.folder, 'key'), `${exampleEnv.HALLPASS_SEALING_KEY}\n`)
    const settings = load(replaced('env:HALLPASS_SEALING_KEY', 'file:key'))
    expect(settings.keys.sealing.reveal()).toBe(exampleEnv.HALLPASS_SEALING_KEY)
  })

  test('are no place for a second reference', () => {
    const settings = load(replaced('bucket: acme-reports', 'bucket: env:B'), { ...exampleEnv, B: 'acme' })
    expect(settings.resources.find(({ type }) => type === 'bucket')?.attributes.bucket).toBe('acme')
    expect(() => load(replaced('bucket: acme-reports', 'bucket: env:B'), { ...exampleEnv, B: 'env:C' })).toThrow(
      'is not one token',
    )
  })
})

describe('what may be written in several ways', () => {
  test('an address for each kind of caller', () => {
    const listen = 'listen: { workloads: "127.0.0.1:0", operators: "[::1]:8701", metrics: 0.0.0.0:9464 }'
    expect(load(replaced('listen: 127.0.0.1:8700 ', listen)).listen).toEqual({
      workloads: { host: '127.0.0.1', port: 0 },
      operators: { host: '::1', port: 8701 },
      metrics: { host: '0.0.0.0', port: 9464 },
      worker: null,
    })
  })

  test('no tls on loopback, or behind a proxy', () => {
    const tls = 'tls: { certificate: file:tls.pem, key: file:tls.key }'
    expect(load(replaced(tls, '')).tls).toBeUndefined()
    expect(load(replaced(tls, 'behind_proxy: true').replace('127.0.0.1:8700 ', '0.0.0.0:8700 ')).behind_proxy).toBe(
      true,
    )
  })

  test('Redis as a list of cluster nodes', () => {
    const settings = load(replaced('url: env:REDIS_URL', 'url: [ "redis://a:1", env:REDIS_URL ]'))
    expect(redisSettings(settings.redis).url).toEqual(['redis://a:1', exampleEnv.REDIS_URL])
  })
})

test('a file that is not there, or not text, is a problem like any other', async () => {
  await expect(loadConfig(join(example.folder, 'none.yaml'), {})).rejects.toThrow(
    /none\.yaml:1: cannot be read \(ENOENT\)/,
  )
  writeFileSync(join(example.folder, 'latin1.yaml'), Buffer.from([0x61, 0xff]))
  await expect(loadConfig(join(example.folder, 'latin1.yaml'), {})).rejects.toBeInstanceOf(ConfigError)
})
