// The providers of a soak, each behind a line of ours, and what each of them says is alive: asked there, past Hallpass.
import { randomBytes } from 'node:crypto'
import { vaultConfig } from '../../src/providers/vault-config.js'
import { type StsStandIn, startStsStandIn } from '../servers/stand-ins/sts.js'
import type { StandInSession } from '../servers/stand-ins/sts-calls.js'
import { startVaultStandIn } from '../servers/stand-ins/vault.js'
import { findVault, operate, setUpVault, startVault } from '../servers/vault.js'
import { type FarLine, startFarLine } from './far-line.js'
import { createRandom } from './random.js'
import { awsAccount, awsRoles, providerSections, vaultAudience, vaultRecipes } from './settings.js'

/** One credential that works now. `lease` is empty where it carries nobody's name. */
export interface Alive {
  readonly lease: string
  /** The provider's own name for it. */
  readonly ref: string
}

export interface FarSide {
  readonly what: string
  readonly line: FarLine
  alive(): Promise<Alive[]>
  /** To be called once brokers publish their keys. */
  trust(issuer: string): Promise<void>
  stop(): Promise<void>
}

const settingsPolicy = 'path "secret/data/settings" { capabilities = ["read"] }'

/** A real Vault or OpenBao where there is one and `standIn` does not forbid it. */
export async function startVaultSide(seed: number, standIn: boolean): Promise<FarSide> {
  const found = standIn ? null : findVault()
  if (found === null) return await startStandInSide(seed)
  const vault =
    found.kind === 'url'
      ? { address: found.address, rootToken: found.token, stop: async () => {} }
      : await startVault(found.path)
  const line = await startFarLine(vault.address, createRandom(seed, 'vault line'))
  const names = new Map<string, string>()
  const nameOf = async (accessor: string): Promise<string | null> => {
    const known = names.get(accessor)
    if (known !== undefined) return known
    const answer = await operate(vault, 'POST', 'auth/token/lookup-accessor', { accessor }).catch(() => null)
    // It has ended between the list and this.
    if (answer === null) return null
    const { meta, path } = answer.data as { meta: Record<string, string> | null; path: string }
    const name = path.startsWith('auth/token/create/hallpass-lease') ? (meta?.hallpass_lease ?? '') : notOurs
    names.set(accessor, name)
    return name
  }
  return {
    what: 'a real Vault',
    line,
    async alive() {
      const { keys } = (await operate(vault, 'LIST', 'auth/token/accessors')).data as { keys: string[] }
      const named = await Promise.all(keys.map(async (ref) => ({ ref, lease: await nameOf(ref) })))
      return named.flatMap(({ ref, lease }) => (lease === null || lease === notOurs ? [] : [{ ref, lease }]))
    },
    async trust(issuer) {
      await setUpVault(vault, {
        config: vaultConfig.parse(providerSections({ vault: line.address, sts: line.address }).vault),
        recipes: [vaultRecipes.token],
        federationIssuer: `${issuer}/federation`,
        policies: { 'read-orders': settingsPolicy },
      })
    },
    async stop() {
      await line.stop()
      await vault.stop()
    },
  }
}

const notOurs = 'a login, not a lease'

async function startStandInSide(seed: number): Promise<FarSide> {
  const jwt = { issuer: '', jwksUrl: '', audience: vaultAudience }
  const standingToken = randomBytes(16).toString('hex')
  const vault = await startVaultStandIn({
    jwt,
    standingToken,
    policies: { 'hp-orders-reader': ['database/creds/orders-reader'], 'read-orders': ['secret/data/settings'] },
    databaseRoles: { 'orders-reader': { defaultTtl: 5 } },
  })
  const line = await startFarLine(vault.address, createRandom(seed, 'vault line'))
  const names = new Map<string, string>()
  const learn = async (accessor: string) => {
    const response = await fetch(`${vault.address}/v1/auth/token/lookup-accessor`, {
      method: 'POST',
      headers: { 'x-vault-token': standingToken },
      body: JSON.stringify({ accessor }),
    })
    const { data } = (await response.json()) as { data?: { meta: Record<string, string> } }
    if (data !== undefined) names.set(accessor, data.meta.hallpass_lease ?? '')
  }
  return {
    what: 'the stand-in for Vault',
    line,
    async alive() {
      const { accessors } = vault.alive()
      await Promise.all(accessors.filter((one) => !names.has(one)).map(learn))
      // Looked at again: what has ended while it was named is not said to be alive.
      const { accessors: tokens, leases } = vault.alive()
      const refs = [...tokens, ...leases.map(({ accessor }) => accessor)]
      return [...new Set(refs)].flatMap((ref) => (names.has(ref) ? [{ ref, lease: names.get(ref) ?? '' }] : []))
    },
    async trust(issuer) {
      jwt.issuer = `${issuer}/federation`
      jwt.jwksUrl = `${issuer}/federation/.well-known/jwks.json`
    },
    async stop() {
      await line.stop()
      await vault.stop()
    },
  }
}

/** The stand-in always: no STS lists its sessions, and moto evaluates no policy. What a session may do is read off its policies. */
export async function startStsSide(seed: number): Promise<FarSide> {
  const sts = await startStsStandIn({ account: awsAccount })
  // The last is the role by which denials are written.
  for (const role of [...awsRoles, 'hallpass-deny']) sts.createRole(role)
  const line = await startFarLine(sts.url, createRandom(seed, 'sts line'))
  return {
    what: 'the stand-in for STS and IAM',
    line,
    alive: async () => aliveSessions(sts),
    trust: async (issuer) =>
      sts.registerIdentityProvider(`${issuer}/federation`, `${issuer}/federation/.well-known/jwks.json`),
    async stop() {
      await line.stop()
      await sts.stop()
    },
  }
}

function aliveSessions(sts: StsStandIn): Alive[] {
  const now = Date.now()
  const isOurs = ({ role }: StandInSession) => awsRoles.some((name) => role.arn.endsWith(`/${name}`))
  return sts
    .sessions()
    .filter((session) => isOurs(session) && session.expiresAt > now && !isDenied(session, now))
    .map((session) => ({ lease: session.name, ref: session.accessKeyId }))
}

interface Statement {
  readonly Effect: string
  readonly Condition?: {
    readonly DateGreaterThanEquals?: { readonly 'aws:CurrentTime': string }
    readonly StringLike?: { readonly 'aws:userid': string | readonly string[] }
  }
}

const statementsOf = (policy: string) => (JSON.parse(policy) as { Statement: readonly Statement[] }).Statement

/** By its own dated deny, or by its name in a policy of the role: the two forms that Hallpass writes. */
function isDenied(session: StandInSession, now: number): boolean {
  const denies = [session.policy, ...session.role.policies.values()]
    .flatMap(statementsOf)
    .filter(({ Effect }) => Effect === 'Deny')
  return denies.some(({ Condition: when }) => {
    const from = when?.DateGreaterThanEquals?.['aws:CurrentTime']
    const users = when?.StringLike?.['aws:userid'] ?? []
    if (from !== undefined && users.length === 0) return now >= Date.parse(from)
    return (typeof users === 'string' ? [users] : users).includes(`*:${session.name}`)
  })
}
