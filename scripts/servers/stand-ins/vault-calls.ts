// The stand-in's answers, path by path, with the texts and codes that Vault 1.21 gives.
import { createRemoteJWKSet, jwtVerify } from 'jose'
import type { StandInToken, VaultState } from './vault-state.js'

export interface VaultStandInConfig {
  address: string
  /** JWT login at auth/jwt: whose keys are fetched, and what a token must say. Audience: the address unless it is set. */
  jwt?: { issuer: string; jwksUrl: string; audience?: string; role?: string }
  appRole?: { roleId: string; secretId: string }
  /** A token that is always valid, for logins by token file. */
  standingToken?: string
  tokenRole?: { name: string; allowedPolicies: string[]; maxTtlSeconds?: number; renewable?: boolean; orphan?: boolean }
  /** Policy → paths that it may read. */
  policies: Record<string, string[]>
  /** Database role → seconds. */
  databaseRoles?: Record<string, { defaultTtl?: number; maxTtl?: number; renewable?: boolean }>
  /** `secret/data/…` → value. */
  kv?: Record<string, Record<string, unknown>>
  loginTtlSeconds?: number
  /** Whether our policy has the optional right over auth/token/accessors. */
  mayListAccessors?: boolean
}

export interface StandInAnswer {
  status: number
  body: Record<string, unknown> | null
}

interface Call {
  method: string
  path: string
  body: unknown
  token: string | undefined
}

type Fields = Record<string, unknown>

export function vaultErrors(...errors: string[]): Fields {
  return { errors }
}

const denied: StandInAnswer = { status: 403, body: vaultErrors('1 error occurred:\n\t* permission denied\n\n') }
const clusterId = '00000000-5ca1-ab1e-0000-0000000000d1'
const keysByUrl = new Map<string, ReturnType<typeof createRemoteJWKSet>>()

/** Carries one call out. */
export async function answerCall(config: VaultStandInConfig, state: VaultState, call: Call): Promise<StandInAnswer> {
  const fields = typeof call.body === 'object' && call.body !== null ? (call.body as Fields) : {}
  if (call.path === 'sys/health') return health()
  if (call.path === 'auth/jwt/login') return loginByJwt(config, state, fields)
  if (call.path === 'auth/approle/login') return loginByAppRole(config, state, fields)
  if (call.token !== undefined && call.token === config.standingToken) return answerLogin(config, state, call, fields)
  const token = call.token === undefined ? undefined : state.findToken(call.token)
  if (!token) return denied
  const after = state.useToken(token)
  const answer =
    token.role === null ? answerLogin(config, state, call, fields) : answerChild(config, state, call, token)
  after()
  return answer
}

function health(): StandInAnswer {
  const body = {
    initialized: true,
    sealed: false,
    standby: false,
    version: '1.21.0',
    enterprise: false,
    cluster_id: clusterId,
  }
  return { status: 200, body }
}

async function loginByJwt(config: VaultStandInConfig, state: VaultState, fields: Fields): Promise<StandInAnswer> {
  const { jwt } = config
  if (!jwt) return { status: 400, body: vaultErrors('could not load configuration') }
  if (fields.role !== (jwt.role ?? 'hallpass'))
    return { status: 400, body: vaultErrors(`role "${fields.role}" could not be found`) }
  const keys = keysByUrl.get(jwt.jwksUrl) ?? createRemoteJWKSet(new URL(jwt.jwksUrl))
  keysByUrl.set(jwt.jwksUrl, keys)
  const expected = {
    issuer: jwt.issuer,
    audience: jwt.audience ?? config.address,
    subject: 'hallpass',
    algorithms: ['ES256'],
  }
  const verified = await jwtVerify(String(fields.jwt), keys, { ...expected, clockTolerance: 5 }).catch(() => null)
  if (!verified) return { status: 400, body: vaultErrors('error validating token: error verifying token signature') }
  return loggedIn(config, state)
}

function loginByAppRole(config: VaultStandInConfig, state: VaultState, fields: Fields): StandInAnswer {
  const { appRole } = config
  if (!appRole || fields.role_id !== appRole.roleId || fields.secret_id !== appRole.secretId) {
    return { status: 400, body: vaultErrors('invalid role or secret ID') }
  }
  return loggedIn(config, state)
}

function loggedIn(config: VaultStandInConfig, state: VaultState): StandInAnswer {
  const seconds = config.loginTtlSeconds ?? 3600
  const expiresAt = Date.now() + seconds * 1000
  const token = state.createToken({
    policies: ['hallpass'],
    meta: {},
    displayName: 'login',
    expiresAt,
    numUses: 0,
    role: null,
  })
  return { status: 200, body: { auth: authOf(token, seconds, { renewable: true, orphan: true }) } }
}

function authOf(token: StandInToken, seconds: number, flags: { renewable: boolean; orphan: boolean }): Fields {
  return {
    client_token: token.id,
    accessor: token.accessor,
    policies: token.policies,
    token_policies: token.policies,
    metadata: token.meta,
    lease_duration: seconds,
    entity_id: '',
    token_type: 'service',
    mfa_requirement: null,
    num_uses: token.numUses,
    ...flags,
  }
}

/** What the policy `hallpass` of the set-up allows, and nothing else. */
function answerLogin(config: VaultStandInConfig, state: VaultState, call: Call, fields: Fields): StandInAnswer {
  const { path } = call
  if (path === `auth/token/create/${config.tokenRole?.name ?? 'hallpass-lease'}`)
    return createChildToken(config, state, fields)
  if (path === 'auth/token/accessors') return listAccessors(config, state, call)
  if (path === 'auth/token/lookup-accessor') return lookUpAccessor(state, fields)
  if (path === 'auth/token/revoke-accessor') return revokeAccessor(state, fields)
  if (path === 'auth/token/lookup-self') return { status: 200, body: { data: { policies: ['hallpass'] } } }
  const mayEnd = typeof fields.lease_id === 'string' && fields.lease_id.startsWith('database/creds/')
  if (!mayEnd) return denied
  const leaseId = String(fields.lease_id)
  if (path === 'sys/leases/lookup') return lookUpLease(state, leaseId)
  if (path === 'sys/leases/renew') return renewLease(state, leaseId, Number(fields.increment))
  if (path !== 'sys/leases/revoke') return denied
  // Also for an id that never was.
  state.revokeLease(leaseId)
  return { status: 204, body: null }
}

function createChildToken(config: VaultStandInConfig, state: VaultState, fields: Fields): StandInAnswer {
  const role = config.tokenRole ?? { name: 'hallpass-lease', allowedPolicies: Object.keys(config.policies) }
  const allowed = new Set(['policies', 'ttl', 'explicit_max_ttl', 'num_uses', 'display_name', 'meta'])
  const named = Object.keys(fields)
  if (!named.includes('ttl') || !named.includes('explicit_max_ttl') || named.some((name) => !allowed.has(name)))
    return denied
  const policies = Array.isArray(fields.policies) ? [...new Set(fields.policies.map(String))].sort() : []
  if (!policies.every((policy) => role.allowedPolicies.includes(policy))) {
    const text = `token policies (${JSON.stringify(policies)}) must be subset of the role's allowed policies or glob policies ([])`
    return { status: 400, body: vaultErrors(text) }
  }
  const asked = /^(\d+)s$/.exec(String(fields.ttl))?.[1]
  if (asked === undefined)
    return { status: 400, body: vaultErrors('Field validation failed: error converting input for field "ttl"') }
  const longest = role.maxTtlSeconds ?? 86_400
  const seconds = Number(asked) === 0 ? longest : Math.min(Number(asked), longest)
  const token = state.createToken({
    policies,
    meta: (fields.meta ?? {}) as Record<string, string>,
    displayName: `token-${String(fields.display_name)}`,
    expiresAt: Date.now() + seconds * 1000,
    numUses: Number(fields.num_uses ?? 0),
    role: role.name,
  })
  const flags = { renewable: role.renewable ?? false, orphan: role.orphan ?? true }
  return { status: 200, body: { auth: authOf(token, seconds, flags) } }
}

function listAccessors(config: VaultStandInConfig, state: VaultState, call: Call): StandInAnswer {
  if (config.mayListAccessors !== true || call.method !== 'LIST') return denied
  return { status: 200, body: { data: { keys: state.tokens().map(({ accessor }) => accessor) } } }
}

function lookUpAccessor(state: VaultState, fields: Fields): StandInAnswer {
  const token = state.findAccessor(String(fields.accessor))
  if (!token) return { status: 400, body: vaultErrors('1 error occurred:\n\t* invalid accessor\n\n') }
  const { accessor, meta, policies, numUses, expiresAt, displayName, role, createdAt } = token
  const ttl = Math.floor((expiresAt - Date.now()) / 1000)
  const path = role === null ? 'auth/jwt/login' : `auth/token/create/${role}`
  const creation_time = Math.floor(createdAt / 1000)
  const about = { accessor, id: '', path, creation_time, display_name: displayName, orphan: true }
  const data = { ...about, meta, policies, num_uses: numUses, ttl }
  return { status: 200, body: { data } }
}

function revokeAccessor(state: VaultState, fields: Fields): StandInAnswer {
  const token = state.findAccessor(String(fields.accessor))
  if (!token) return { status: 200, body: { data: null, warnings: ['No token found with this accessor'] } }
  state.revokeToken(token)
  return { status: 204, body: null }
}

function lookUpLease(state: VaultState, id: string): StandInAnswer {
  const lease = state.findLease(id)
  if (!lease) return { status: 400, body: vaultErrors('invalid lease') }
  const ttl = Math.floor((lease.expiresAt - Date.now()) / 1000)
  return { status: 200, body: { data: { id, renewable: lease.renewable, ttl } } }
}

function renewLease(state: VaultState, id: string, increment: number): StandInAnswer {
  const lease = state.findLease(id)
  if (!lease) return { status: 400, body: vaultErrors('lease not found') }
  if (!lease.renewable) return { status: 400, body: vaultErrors('lease is not renewable') }
  lease.expiresAt = Math.min(Date.now() + increment * 1000, lease.maxExpiresAt)
  const seconds = Math.round((lease.expiresAt - Date.now()) / 1000)
  return { status: 200, body: { lease_id: id, renewable: true, lease_duration: seconds, data: null } }
}

/** A lease's own token: what its policies let it read, or look at itself. */
function answerChild(config: VaultStandInConfig, state: VaultState, call: Call, token: StandInToken): StandInAnswer {
  const { path } = call
  const mayRead = token.policies.some((policy) => config.policies[policy]?.includes(path))
  if (call.method !== 'GET' || !mayRead) return denied
  const value = config.kv?.[path]
  if (value) {
    const data = { data: value, metadata: { version: 1, destroyed: false } }
    return { status: 200, body: { lease_id: '', renewable: false, lease_duration: 0, data } }
  }
  const [, roleName] = /^database\/creds\/([^/]+)$/.exec(path) ?? []
  const role = roleName === undefined ? undefined : config.databaseRoles?.[roleName]
  if (!role) return { status: 404, body: vaultErrors() }
  const { defaultTtl = 60, maxTtl = 86_400, renewable = true } = role
  const lease = state.createLease(path, token, { defaultTtl, maxTtl, renewable })
  const seconds = Math.round((lease.expiresAt - Date.now()) / 1000)
  const data = { username: lease.username, password: lease.password }
  return { status: 200, body: { lease_id: lease.id, renewable, lease_duration: seconds, data } }
}
