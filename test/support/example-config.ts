// The operator's example, unchanged, in a folder of its own with everything that it refers to.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { schemaInputOf } from '../../src/config/cross-checks.js'
import { type LoadedConfig, loadConfig } from '../../src/config/load.js'
import { loadPolicies } from '../../src/config/load-policies.js'
import type { Settings } from '../../src/config/schema.js'
import { createCatalogue } from '../../src/grants/catalogue.js'
import type { DecisionInput, Holdings, OfferBounds } from '../../src/policy/decision.js'
import { createPolicyEngine } from '../../src/policy/engine.js'
import { createGroups } from '../../src/policy/groups.js'
import { generateSchema } from '../../src/policy/schema.js'

export const exampleEnv = {
  REDIS_URL: 'redis://127.0.0.1:6379',
  HALLPASS_SEALING_KEY: Buffer.alloc(32, 7).toString('base64'),
  HOSTNAME: 'broker-1',
}

export interface ExampleFolder {
  readonly folder: string
  readonly file: string
  readonly text: string
  remove(): void
}

export function writeExample(): ExampleFolder {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-example-'))
  const file = join(folder, 'hallpass.yaml')
  copyFileSync('test/fixtures/hallpass.example.yaml', file)
  mkdirSync(join(folder, 'policies'))
  copyFileSync('test/fixtures/policies.example.cedar', join(folder, 'policies', 'main.cedar'))
  const pem = (kind: string) => `-----BEGIN ${kind}-----\nAAAA\n-----END ${kind}-----\n`
  writeFileSync(join(folder, 'tls.pem'), pem('CERTIFICATE'))
  writeFileSync(join(folder, 'tls.key'), pem('PRIVATE KEY'))
  writeFileSync(join(folder, 'vault-ca.pem'), pem('CERTIFICATE'))
  return {
    folder,
    file,
    text: readFileSync(file, 'utf8'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Loads the example, removes its folder again and builds what decides from it. */
export async function loadExample() {
  const example = writeExample()
  try {
    const { settings }: LoadedConfig = await loadConfig(example.file, exampleEnv)
    const policySet = await loadPolicies(settings)
    return { settings, policySet, ...rulesOf(settings), engine: engineOf(settings, policySet) }
  } finally {
    example.remove()
  }
}

function rulesOf(settings: Settings) {
  return {
    schema: generateSchema(schemaInputOf(settings)),
    groups: createGroups(settings.groups),
    catalogue: createCatalogue(settings.grants, settings.resources),
  }
}

function engineOf(settings: Settings, policySet: Awaited<ReturnType<typeof loadPolicies>>) {
  return createPolicyEngine({ policySet, grants: settings.grants, groups: createGroups(settings.groups) })
}

export const nothingHeld: Holdings = {
  activeLeases: 0,
  holding: [],
  holdingAccess: [],
  holdingResources: [],
  granted: [],
  grantedAccess: [],
  grantedResources: [],
}

export const wideBounds: OfferBounds = {
  ttlSeconds: 600,
  minTtlSeconds: 1,
  binding: 'none',
  require: { approval: null, binding: null, maxTtlSeconds: null },
}

/** A request of a SPIFFE workload of the example; what a test is about stands in `over`. */
export function exampleInput(over: Partial<DecisionInput> = {}): DecisionInput {
  return {
    principal: workload('prod', 'spiffe://prod.acme.example/ns/ci/sa/deployer', {
      namespace: 'ci',
      service_account: 'deployer',
    }),
    action: 'database.query',
    resource: {
      id: 'database:orders',
      type: 'database',
      attributes: { sensitivity: 'high', environment: 'production', vault_role: 'orders' },
    },
    requestedTtlSeconds: 600,
    declared: {},
    task: { ageSeconds: 1, depth: 0, activeLeases: 0 },
    session: nothingHeld,
    account: nothingHeld,
    recentDenials: 0,
    escalation: false,
    binding: 'none',
    now: Date.UTC(2026, 0, 2, 3, 4, 5),
    ...over,
  }
}

export function workload(
  issuer: string,
  subject: string,
  attributes: DecisionInput['principal']['attributes'] = {},
): DecisionInput['principal'] {
  return {
    id: `${issuer}:${subject}`,
    issuer,
    subject,
    use: 'workload',
    attributes,
    account: `${issuer}:${subject}`,
    instance: null,
    sessionSeconds: 28_800,
    binding: 'none',
    person: null,
    tokenSha256: '0'.repeat(64),
    tokenExpiresAt: 2_000_000_000,
  }
}
