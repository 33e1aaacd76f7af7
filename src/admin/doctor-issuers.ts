// What each issuer would accept, and whether its keys can be had. Fetches them; nothing else.
import type { Issuer } from '../identity/issuer.js'
import type { IssuerConfig } from '../identity/issuer-config.js'

interface IssuerFinding {
  readonly part: string
  readonly problems: readonly string[]
  readonly seen: string
  readonly notes: readonly string[]
  readonly accepts: Readonly<Record<string, unknown>>
}

/** Skew below this is what a whole second's resolution and a slow answer make. */
const remarkableSkewSeconds = 2

export async function diagnoseIssuer(issuer: Issuer, entry: IssuerConfig | undefined): Promise<IssuerFinding> {
  const problems = await findKeyProblems(issuer)
  const { usableKeys, skippedKeys } = issuer.status()
  const skew = issuer.skew?.().byDate ?? null
  problems.push(...skewProblems(skew, issuer.accepts.leewaySeconds))
  const { origin, ...terms } = issuer.accepts
  const accepts = {
    ...origin,
    use: issuer.use,
    ...terms,
    maxStaleSeconds: entry?.max_stale ?? null,
    usableKeys,
    skippedKeys,
    skewSeconds: skew,
  }
  const count = `${usableKeys.length} usable ${usableKeys.length === 1 ? 'key' : 'keys'}`
  return { part: `issuer ${issuer.name}`, problems, seen: count, notes: describe(accepts, origin), accepts }
}

async function findKeyProblems(issuer: Issuer): Promise<string[]> {
  try {
    const usable = await issuer.refresh()
    const skipped = issuer.status().skippedKeys.map((why) => `a key is not used: ${why}; its issuer has to replace it`)
    if (usable === 0) {
      return [
        'publishes no usable key, so all its tokens are refused; check that this is the right address',
        ...skipped,
      ]
    }
    return [...skipped, ...algorithmProblems(issuer)]
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return [`its keys cannot be had: ${message}; ${adviceFor(message)}`]
  }
}

/** Keys that verify nothing which the issuer may sign with are as good as none. */
function algorithmProblems(issuer: Issuer): string[] {
  const keys = issuer.status().usableKeys
  const { algorithms } = issuer.accepts
  if (keys === undefined || keys.length === 0) return []
  const fits = keys.some((key) => algorithms.some((name) => new RegExp(`[ (]${name}[,)]`).test(key)))
  return fits ? [] : [`none of its keys is for ${algorithms.join(', ')}; see algorithms in the configuration`]
}

const advice: readonly (readonly [RegExp, string])[] = [
  [/not public/, 'set allow_private_addresses: true if this address is meant'],
  [/names the issuer/, 'write issuer exactly as its discovery document does, slash at the end included'],
  [/answered 404/, 'check issuer, or name the keys with jwks: { uri: … }'],
  [/redirects/, 'write the address that it leads to'],
  [/no whole answer/, 'check that this host may reach it (firewall, proxy)'],
  [/not JSON|content type/, 'something else answers there: a proxy or a portal?'],
  [/certificate|self.signed/i, 'its certificate has to be of a public authority, or of one in NODE_EXTRA_CA_CERTS'],
  [/ENOENT|EACCES/, 'put the file there, readable for the user that runs Hallpass'],
]

const adviceFor = (message: string) =>
  advice.find(([pattern]) => pattern.test(message))?.[1] ?? 'check its address, or give its keys as a file'

function skewProblems(skew: number | null, leewaySeconds: number): string[] {
  if (skew === null || Math.abs(skew) <= Math.max(leewaySeconds, remarkableSkewSeconds)) return []
  const [way, effect] = skew > 0 ? ['ahead of', 'not yet issued'] : ['behind', 'too old, or good for too long']
  const far = `its clock is ${Math.abs(skew).toFixed(0)} s ${way} ours, leeway is ${leewaySeconds} s: its tokens look ${effect}`
  return [`${far}; set this host's clock (NTP), or tell the issuer`]
}

function describe(accepts: Readonly<Record<string, unknown>>, origin: Issuer['accepts']['origin']): string[] {
  const { use, audiences, algorithms, require, account, instance, usableKeys, skewSeconds } = accepts
  const { sessionSeconds, leewaySeconds, maxAgeSeconds, maxStaleSeconds } = accepts
  const list = (value: unknown) => (Array.isArray(value) ? value.join(', ') : 'none')
  const from = 'iss' in origin ? `iss ${origin.iss}` : `JWT-SVIDs of ${origin.trustDomain}`
  const age = maxAgeSeconds === null ? 'unbounded' : `${maxAgeSeconds} s`
  const skew = typeof skewSeconds === 'number' ? `${skewSeconds.toFixed(1)} s` : 'not measured'
  return [
    `takes ${from} for ${use}s, aud ${list(audiences)}, alg ${list(algorithms)}`,
    `keys ${list(usableKeys) || 'none'}`,
    `account ${account === null ? 'sub' : list(account)}, instance ${list(instance)}, require ${JSON.stringify(require)}`,
    `session ${sessionSeconds} s, max_age ${age}, leeway ${leewaySeconds} s, max_stale ${maxStaleSeconds} s, skew ${skew}`,
  ]
}
