// Verifying tokens in this process: the issuer pool with all its checks beside a bare jose.jwtVerify of the same tokens, the
// refusal of the worst inputs, and a live token that is shown again.
import { createRemoteJWKSet, importJWK, type JWK, jwtVerify } from 'jose'
import { systemClock } from '../../src/core/clock.js'
import { issuersConfig } from '../../src/identity/issuer-config.js'
import { createIssuerPool, type IssuerPool } from '../../src/identity/issuer-pool.js'
import { createIssuers } from '../../src/identity/issuers.js'
import { type OidcIssuer, startOidcIssuer } from '../servers/stand-ins/oidc-issuer.js'
import { summarise } from './summary.js'

export interface Times {
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface IdentityFigures {
  readonly tokens: number
  readonly warm: { readonly pool: Times; readonly jose: Times }
  /** Keys fetched first, over loopback. */
  readonly cold: { readonly pool: Times; readonly jose: Times }
  readonly again: Times
  /** CPU milliseconds to refuse one. */
  readonly refusals: readonly { readonly what: string; readonly cpuMs: number }[]
}

const ours = 'https://hallpass.example'

/** Signs fresh tokens, so that no memory of verified ones helps; about `seconds` for all parts together. */
export async function measureIdentity(seconds: number): Promise<IdentityFigures> {
  const issuer = await startOidcIssuer()
  try {
    const tokens = await Promise.all(Array.from({ length: Math.round(seconds * 500) }, (_, i) => signOne(issuer, i)))
    const cold = await measureCold(issuer, tokens.splice(0, 80))
    const warm = await measureWarm(issuer, tokens)
    const again = await measureAgain(issuer, tokens)
    return { tokens: tokens.length, warm, cold, again, refusals: await measureRefusals(issuer) }
  } finally {
    await issuer.stop()
  }
}

/** The claims of a CI job, as wide as GitHub's. */
const signOne = (issuer: OidcIssuer, i: number) =>
  issuer.sign({
    aud: ours,
    jti: `8a2f6b1e-4c3d-4e5f-9a7b-${i.toString(16).padStart(12, '0')}`,
    sub: 'repo:acme/web:environment:production',
    ...{ repository: 'acme/web', repository_id: '74', repository_owner: 'acme', repository_owner_id: '65' },
    ...{
      ref: 'refs/heads/main',
      ref_type: 'branch',
      ref_protected: 'true',
      sha: '0123456789abcdef0123456789abcdef01234567',
    },
    ...{
      event_name: 'push',
      environment: 'production',
      actor: 'octocat',
      actor_id: '12',
      run_id: `${i}`,
      run_attempt: '2',
    },
    job_workflow_ref: 'acme/web/.github/workflows/deploy.yml@refs/heads/main',
    runner_environment: 'github-hosted',
  })

function createPool({ issuer }: OidcIssuer): IssuerPool {
  const entry = {
    type: 'oidc',
    preset: 'github-actions',
    issuer,
    algorithms: ['ES256'],
    jwks: { uri: `${issuer}/jwks` },
  }
  const deps = { clock: systemClock, ourIssuer: ours, directory: '.' }
  return createIssuerPool(createIssuers(issuersConfig.parse({ ci: entry }), deps), { ourIssuer: ours })
}

/**
 * Both in turns, one token each time, so that what else runs on the machine meets both alike. Each round has a pool that has
 * seen none of the tokens; the first two are for the compiler.
 */
async function measureWarm(issuer: OidcIssuer, tokens: readonly string[]) {
  const { keys } = (await (await fetch(`${issuer.issuer}/jwks`)).json()) as { keys: JWK[] }
  const key = await importJWK(keys[0] ?? {}, 'ES256')
  const bare = (token: string) => jwtVerify(token, key, bareOptions(issuer))
  const times = { pool: [] as number[], jose: [] as number[] }
  for (let round = 0; round < 4; round++) {
    const pool = createPool(issuer)
    await pool.authenticate(await signOne(issuer, tokens.length + 100))
    for (const [i, token] of tokens.entries()) {
      const turns = [
        async () => times.pool.push(await timeOf(() => pool.authenticate(token))),
        async () => times.jose.push(await timeOf(() => bare(token))),
      ]
      for (const turn of i % 2 === 0 ? turns : turns.reverse()) await turn()
    }
  }
  const measured = (all: readonly number[]) => summarise(all.slice(tokens.length * 2), 1)
  return { pool: measured(times.pool), jose: measured(times.jose) }
}

/** The first token that a fresh pool sees: its keys are fetched from the same server by both. */
async function measureCold(issuer: OidcIssuer, tokens: readonly string[]) {
  const times = { pool: [] as number[], jose: [] as number[] }
  for (const token of tokens) {
    const pool = createPool(issuer)
    times.pool.push(await timeOf(() => pool.authenticate(token)))
    // A first fetch has no connection kept from an earlier one.
    const keys = createRemoteJWKSet(new URL(`${issuer.issuer}/jwks`), { headers: { connection: 'close' } })
    times.jose.push(await timeOf(() => jwtVerify(token, keys, bareOptions(issuer))))
  }
  return { pool: summarise(times.pool, 1), jose: summarise(times.jose, 1) }
}

const bareOptions = ({ issuer }: OidcIssuer) => ({ issuer, audience: ours, algorithms: ['ES256'] })

async function measureAgain(issuer: OidcIssuer, tokens: readonly string[]): Promise<Times> {
  const pool = createPool(issuer)
  const live = tokens.slice(0, 100)
  for (const token of live) await pool.authenticate(token)
  const times: number[] = []
  for (let round = 0; round < 20; round++)
    for (const token of live) times.push(await timeOf(() => pool.authenticate(token)))
  return summarise(times, 1)
}

async function measureRefusals(issuer: OidcIssuer) {
  const pool = createPool(issuer)
  const encode = (text: string) => Buffer.from(text).toString('base64url')
  const [header = '', , signature = ''] = (await signOne(issuer, 0)).split('.')
  const withPayload = (text: string) => `${header}.${encode(text)}.${signature}`
  const worst: readonly [string, string][] = [
    ['2 MB', 'A'.repeat(2_000_000)],
    ['50,000 levels', withPayload('['.repeat(50_000))],
    ['1,000,000 dots', '.'.repeat(1_000_000)],
    ['16 KiB of members, one twice', withPayload(`{${Array.from({ length: 1300 }, (_, i) => `"${i}":0`)},"1":0}`)],
    ['16 KiB of levels', withPayload(`{"a":${'['.repeat(11_000)}`)],
  ]
  const refusals = []
  for (const [what, text] of worst) refusals.push({ what, cpuMs: await cpuOf(pool, text, 300) })
  return refusals
}

async function cpuOf(pool: IssuerPool, text: string, times: number): Promise<number> {
  const refuse = () =>
    pool.authenticate(text).then(
      () => Promise.reject(new Error('taken instead of refused')),
      () => undefined,
    )
  for (let i = 0; i < 20; i++) await refuse()
  const before = process.cpuUsage()
  for (let i = 0; i < times; i++) await refuse()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000 / times
}

async function timeOf(run: () => Promise<unknown>): Promise<number> {
  const before = performance.now()
  await run()
  return performance.now() - before
}
