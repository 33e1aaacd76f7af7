// The bench's ground for the lease engine: besides the workloads an operator who may revoke, a second worker's configuration,
// and a Vault where one is given.
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { type Ground, layGround, signToken } from './stack.js'

export interface EngineGround extends Ground {
  /** The same deployment, for a second worker on the same machine. */
  readonly second: Ground
  operatorToken(): string
}

const audience = 'hallpass-operators'
const staffIssuer = 'https://staff.bench.example'

/** What the Vault's own operator is told of Hallpass, and what a workload asks for there. */
export const vaultRecipe = { kind: 'token', policies: ['bench-read'] }
export const vaultProvider = (address: string) => ({
  type: 'vault',
  address,
  auth: { method: 'jwt', role: 'hallpass' },
  token_role: 'hallpass-lease',
})

export async function layEngineGround(
  directory: string,
  redisUrl: string,
  vaultAddress: string | null,
): Promise<EngineGround> {
  const ground = await layGround(directory, redisUrl)
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = { ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'ES256', use: 'sig' }
  writeFileSync(join(directory, 'staff.jwks.json'), JSON.stringify({ keys: [key] }))
  writeFileSync(join(directory, 'policies', 'engine.cedar'), policies(vaultAddress !== null))
  const settings = parse(readFileSync(ground.configFile, 'utf8'))
  settings.issuers.staff = {
    type: 'oidc',
    use: 'operator',
    issuer: staffIssuer,
    audience,
    algorithms: ['ES256'],
    person: 'sub',
    jwks: { file: 'staff.jwks.json' },
  }
  if (vaultAddress !== null) {
    settings.providers.vault = vaultProvider(vaultAddress)
    const ttl = { default: '5m', max: '1h' }
    const grant = { access: 'read', resource: 'repo', provider: 'vault', ttl, recipe: vaultRecipe }
    settings.grants['config.read'] = grant
  }
  const secondFile = join(directory, 'second.yaml')
  writeFileSync(ground.configFile, JSON.stringify(settings))
  writeFileSync(secondFile, JSON.stringify({ ...settings, audit: { ...settings.audit, instance: 'bench-2' } }))
  return {
    ...ground,
    second: { ...ground, configFile: secondFile },
    operatorToken() {
      const iat = Math.floor(Date.now() / 1000)
      return signToken(privateKey, { iss: staffIssuer, sub: 'olga', aud: audience, iat, exp: iat + 3600 })
    },
  }
}

const policies = (withVault: boolean) => `@id("staff-operates")
permit (principal in Issuer::"staff", action in [Action::"operate.view", Action::"operate.revoke"], resource);
${
  withVault
    ? `@id("agents-config")
permit (principal in Issuer::"agents", action == Action::"config.read", resource is Repo);`
    : ''
}
`
