// docker-compose.yml cannot be started here. What can be known of it without that is held here.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { parseConfig } from '../../../src/config/load.js'
import { loadPolicies } from '../../../src/config/load-policies.js'
import { parseVaultRecipe } from '../../../src/providers/vault-config.js'
import { vaultSetupSteps } from '../../../src/providers/vault-setup.js'

interface Service {
  image: string
  user: string
  restart: string
  build?: { context: string }
  cap_drop: string[]
  cap_add?: string[]
  security_opt: string[]
  read_only: boolean
  privileged?: boolean
  healthcheck: { test?: string[]; disable?: boolean }
  networks?: string[]
  network_mode?: string
  ports?: string[]
  volumes: string[]
  environment?: Record<string, string>
  depends_on?: Record<string, { condition: string }>
}
interface Compose {
  services: Record<string, Service>
  volumes: Record<string, object>
  networks: Record<string, { internal?: boolean }>
}

const text = readFileSync('docker-compose.yml', 'utf8')
const compose = parse(text, { merge: true }) as Compose
const services = Object.entries(compose.services).map(([name, service]) => ({ name, ...service }))
const initScript = readFileSync('config/compose/tools/init.sh', 'utf8')

const mountsOf = (service: Service) =>
  service.volumes.map((mount) => {
    const [source = '', target = '', mode = 'rw'] = mount.split(':')
    return { source, target, mode }
  })

describe('docker-compose.yml', () => {
  test('has the servers that Hallpass works with', () => {
    const expected = ['broker', 'worker', 'redis', 'openbao', 'sts', 'spire-server', 'spire-agent']
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(expected))
  })

  test.each(services)('$name: least privilege', (service) => {
    expect(service.cap_drop).toEqual(['ALL'])
    expect(service.security_opt).toEqual(['no-new-privileges:true'])
    expect(service.read_only).toBe(true)
    expect(service.privileged).toBeUndefined()
    if (service.name === 'init') {
      expect(service.network_mode).toBe('none')
      return
    }
    expect(Number(service.user.split(':')[0])).toBeGreaterThan(0)
    expect(service.cap_add).toBeUndefined()
  })

  test.each(services)('$name: a health check, or it runs once', (service) => {
    if (service.restart === 'no') expect(service.healthcheck.disable).toBe(true)
    else expect(service.healthcheck.test?.length).toBeGreaterThan(1)
  })

  test.each(services)('$name: a fixed tag, and files that are there', (service) => {
    expect(service.image).toMatch(/^[a-z0-9./-]+:(?!latest)[a-z0-9.-]+$/)
    if (service.build) expect(existsSync(join(service.build.context, 'Dockerfile'))).toBe(true)
    for (const { source, mode } of mountsOf(service)) {
      if (!source.startsWith('.')) expect(Object.keys(compose.volumes)).toContain(source)
      else expect({ source, there: existsSync(source), mode }).toEqual({ source, there: true, mode: 'ro' })
    }
  })

  test('every volume, network and dependency that is named exists, and none is left over', () => {
    const mounted = new Set(services.flatMap((service) => mountsOf(service).map(({ source }) => source)))
    expect(Object.keys(compose.volumes).filter((name) => !mounted.has(name))).toEqual([])
    const used = new Set(services.flatMap((service) => service.networks ?? []))
    expect([...used].sort()).toEqual(Object.keys(compose.networks).sort())
    for (const { depends_on } of services) {
      for (const name of Object.keys(depends_on ?? {})) expect(Object.keys(compose.services)).toContain(name)
    }
  })

  test('only the broker is published, on loopback, and only its network leads outside', () => {
    const published = services.filter(({ ports }) => ports !== undefined)
    expect(published.map(({ name, ports }) => ({ name, ports }))).toEqual([
      { name: 'broker', ports: ['127.0.0.1:8700:8700'] },
    ])
    const open = Object.entries(compose.networks).filter(([, network]) => network.internal !== true)
    expect(open.map(([name]) => name)).toEqual(['edge'])
    expect(services.filter(({ networks }) => networks?.includes('edge')).map(({ name }) => name)).toEqual(['broker'])
  })

  test('whoever mounts a volume is the one that init gave it to, but for what is meant for all', () => {
    const owners = new Map<string, string>()
    for (const [, uid = '', list = ''] of initScript.matchAll(/^own (\d+):\d+ (.+)$/gm)) {
      for (const [, volume = ''] of list.matchAll(/\$root\/([a-z-]+)/g)) owners.set(volume, uid)
    }
    const forAll = ['ca', 'spire-bundle', 'spire-agent-socket', 'svid']
    for (const service of services.filter(({ name }) => name !== 'init')) {
      for (const { source, mode } of mountsOf(service).filter((mount) => !mount.source.startsWith('.'))) {
        if (mode === 'ro' && forAll.includes(source)) continue
        expect({ service: service.name, source, uid: owners.get(source) }).toEqual({
          ...{ service: service.name, source },
          uid: service.user.split(':')[0],
        })
      }
    }
  })
})

test('no file of the stack holds a secret', () => {
  for (const file of ['docker-compose.yml', 'Dockerfile', ...filesUnder('config/compose')]) {
    const content = readFileSync(file, 'utf8')
    expect({
      file,
      found: content.match(/-----BEGIN|AKIA[A-Z0-9]{12}|\b[hs]v?s\.[A-Za-z0-9]{20}|eyJ[A-Za-z0-9_-]{20}/),
    }).toEqual({ file, found: null })
    expect({ file, found: content.match(/[0-9a-f]{32}|[A-Za-z0-9+/]{43}=/) }).toEqual({ file, found: null })
    // A value written beside a telling name: only a path, a URL without a password, a reference or a setting's own word.
    for (const [, value = ''] of content.matchAll(
      /^\s*[\w-]*(?:secret|password|passwd|sealing|_token|_key)[\w-]*\s*[:=]\s*["']?([^\s"'#]+)/gim,
    )) {
      expect({ file, value: /^(?:file:|env:|\/|\$|@|\[|[\w-]+$)/.test(value) && value.length < 40 }).toEqual({
        file,
        value: true,
      })
    }
  }
})

test.each(filesUnder('config/compose').filter((file) => file.endsWith('.sh')))('%s is a shell script', (file) => {
  expect(spawnSync('sh', ['-n', file], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' })
})

describe('its hallpass.yaml', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'hallpass-compose-'))
    mkdirSync(join(folder, 'hallpass'))
    mkdirSync(join(folder, 'ca'))
    const pem = (kind: string) => `-----BEGIN ${kind}-----\nAAAA\n-----END ${kind}-----\n`
    writeFileSync(join(folder, 'hallpass/tls.pem'), pem('CERTIFICATE'))
    writeFileSync(join(folder, 'hallpass/tls.key'), pem('PRIVATE KEY'))
    writeFileSync(join(folder, 'ca/ca.pem'), pem('CERTIFICATE'))
    writeFileSync(join(folder, 'hallpass/sealing.key'), `${Buffer.alloc(32, 7).toString('base64')}\n`)
    writeFileSync(join(folder, 'hallpass/redis.url'), 'redis://hallpass:test@redis:6379')
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const load = () => {
    const written = readFileSync('config/compose/hallpass.yaml', 'utf8').replaceAll('file:/run/', `file:${folder}/`)
    return parseConfig(written, 'config/compose/hallpass.yaml', {}).settings
  }

  test('loads with its policies', async () => {
    const { policies, warnings } = await loadPolicies(load())
    expect(policies.map(({ id }) => id)).toContain('on-call-revokes')
    expect(warnings).toEqual([])
  })

  test('OpenBao’s set-up gives Hallpass what `provider setup` prints, and no more', () => {
    const settings = load()
    const config = settings.providers.openbao
    if (config?.type !== 'vault') throw new Error('openbao is no vault provider')
    const recipes = Object.values(settings.grants).flatMap(({ provider, recipe }) =>
      provider === 'openbao' ? [recipe] : [],
    )
    const steps = vaultSetupSteps(config, recipes, `${settings.issuer}/federation`)
    const script = readFileSync('config/compose/openbao/setup.sh', 'utf8')
    const own = steps.find(({ path }) => path === 'sys/policies/acl/hallpass')
    const written = readFileSync('config/compose/openbao/policies/hallpass.hcl', 'utf8')
    expect(compact(written)).toBe(compact(String(own?.body.policy)))
    const role = steps.find(({ path }) => path === `auth/token/roles/${config.token_role}`)
    for (const [name, value] of Object.entries(role?.body ?? {})) expect(script).toContain(`${name}=${String(value)}`)
    for (const policy of recipes.flatMap((recipe) => parseVaultRecipe(recipe).policies)) {
      expect(existsSync(`config/compose/openbao/policies/${policy}.hcl`)).toBe(true)
    }
  })
})

/** Comments grant nothing. */
function compact(policy: string): string {
  return policy
    .replace(/^\s*#.*$/gm, '')
    .replace(/\s+/g, ' ')
    .trim()
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? filesUnder(path) : [path]
  })
}
