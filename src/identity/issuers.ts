// The `issuers:` section → working issuers, and what must hold between them.
import { resolve } from 'node:path'
import type { Clock } from '../core/clock.js'
import { isLoopbackHost, type SettingProblem } from '../core/settings.js'
import { type AddressPolicy, type ResolveHost, resolveBySystem } from './address-policy.js'
import { createBundleSource } from './bundle-sources.js'
import { loadDiscovered, loadFile, loadFrom } from './discovery.js'
import type { Issuer } from './issuer.js'
import {
  attributeRulesOf,
  attributeTypesOf,
  type IssuersConfig,
  type OidcConfig,
  type SpiffeConfig,
} from './issuer-config.js'
import { type IssuerEvents, IssuerMonitor, unwatched } from './issuer-monitor.js'
import { ownIssuers } from './issuer-pool.js'
import { fileTimings, KeyCache, type KeySource, remoteTimings } from './jwks.js'
import { parseKeySet } from './key-set.js'
import { loginProblems, type PublishedLogin } from './login.js'
import { createOidcIssuer } from './oidc-issuer.js'
import { parsePathTemplate } from './path-template.js'
import { presets } from './presets/known.js'
import { fetchJson, type ServerIdentity } from './remote-document.js'
import { createSpiffeIssuer } from './spiffe-issuer.js'

export interface IssuerDeps {
  readonly clock: Clock
  /** Hallpass's own `issuer`: never one of these, and the default audience. */
  readonly ourIssuer: string
  /** The folder that `bundle.file` and `jwks.file` are relative to. */
  readonly directory: string
  /** How names are looked up; the system's way unless told. */
  readonly resolveHost?: ResolveHost
  /** Bounds of one fetch of keys; 5 s and 256 KiB unless told. */
  readonly fetchTimeoutMs?: number
  /** How long a caller whose key may still serve waits for a refresh of the keys; 1 s unless told. */
  readonly softWaitMs?: number | undefined
  /** Told of fetches and refusals. */
  readonly events?: IssuerEvents
  /** Told, once per change, why a trust bundle is not taken. */
  readonly report?: (issuer: string, problem: string) => void
}

/** What one issuer is made with. */
interface OneIssuerDeps extends IssuerDeps {
  readonly monitor: IssuerMonitor
}

const maxDocumentBytes = 256 * 1024

/** Makes one Issuer per entry. Makes no call: keys are fetched when first needed. Throws when validateIssuers finds anything. */
export function createIssuers(config: IssuersConfig, deps: IssuerDeps): Issuer[] {
  const [problem] = validateIssuers(config, deps.ourIssuer)
  if (problem !== undefined) throw new Error(`issuers.${problem.path.join('.')}: ${problem.message}`)
  return Object.entries(config).map(([name, entry]) => {
    const isShared = Object.entries(config).some(
      ([other, candidate]) => other !== name && originOf(candidate) === originOf(entry),
    )
    const monitor = new IssuerMonitor(name, deps.clock, deps.events ?? unwatched)
    const one = { ...deps, monitor }
    return monitor.watch(
      entry.type === 'oidc' ? createOidc(name, entry, isShared, one) : createSpiffe(name, entry, isShared, one),
    )
  })
}

/** What is wrong between issuers, or between them and us. Paths start with the issuer's name. */
export function validateIssuers(config: IssuersConfig, ourIssuer: string): SettingProblem[] {
  const problems: SettingProblem[] = []
  const entries = Object.entries(config)
  for (const [index, [name, entry]] of entries.entries()) {
    if (entry.type === 'oidc' && ownIssuers(ourIssuer).includes(oidcIssuerOf(entry))) {
      problems.push({ path: [name, 'issuer'], message: 'is Hallpass itself, which is never an issuer of its own' })
    }
    if (entry.type === 'oidc' && entry.login !== undefined) {
      problems.push(...loginProblems(name, entry.login, audiencesOf(entry, ourIssuer)))
    }
    for (const [earlier, other] of entries.slice(0, index)) {
      if (originOf(other) === originOf(entry)) {
        const shared = audiencesOf(entry, ourIssuer).find((one) => audiencesOf(other, ourIssuer).includes(one))
        // One token must fit one issuer, or it could be a workload's and an operator's at once.
        if (shared !== undefined) {
          const message = `"${shared}" is an audience of "${earlier}" too, which has the same tokens' issuer`
          problems.push({ path: [name, 'audience'], message })
        }
      }
      problems.push(...typeConflicts(name, entry, earlier, other))
    }
  }
  return problems
}

type Entry = IssuersConfig[string]

/** Policies see one attribute with one type, whichever issuer gave it. */
function typeConflicts(name: string, entry: Entry, earlier: string, other: Entry): SettingProblem[] {
  if (entry.use !== other.use) return []
  const theirs = attributeTypesOf(other)
  return Object.entries(attributeTypesOf(entry)).flatMap(([attribute, type]) => {
    const their = Object.hasOwn(theirs, attribute) ? theirs[attribute] : type
    if (their === type) return []
    const path = entry.type === 'spiffe' ? [name, 'paths'] : [name, 'attributes', attribute]
    return [{ path, message: `${attribute} is ${type} here and ${their} in issuer "${earlier}"` }]
  })
}

function originOf(entry: Entry): string {
  return entry.type === 'oidc' ? `oidc ${oidcIssuerOf(entry)}` : `spiffe ${entry.trust_domain}`
}

function oidcIssuerOf(entry: OidcConfig): string {
  // The schema has made sure of one of the two.
  return entry.issuer ?? (entry.preset === undefined ? null : presets[entry.preset].issuer) ?? ''
}

function audiencesOf(entry: Entry, ourIssuer: string): readonly string[] {
  return entry.audience ?? [ourIssuer]
}

/** What clients are told: the audiences to ask an issuer of workloads for, and where people log in. */
export function clientFacts(
  config: IssuersConfig,
  ourIssuer: string,
): { audiences: string[]; login: PublishedLogin[] } {
  const entries = Object.entries(config)
  const named = entries.flatMap(([, one]) => (one.use === 'workload' ? audiencesOf(one, ourIssuer) : []))
  const login = entries.flatMap(([name, one]) => {
    if (one.type !== 'oidc' || one.login === undefined) return []
    return [{ name, issuer: oidcIssuerOf(one), audience: audiencesOf(one, ourIssuer)[0] ?? ourIssuer, ...one.login }]
  })
  return { audiences: [...new Set(named)], login }
}

/** The rules that both kinds of issuer have. */
function commonRules(name: string, entry: Entry, deps: IssuerDeps) {
  const preset = entry.type === 'oidc' && entry.preset !== undefined ? presets[entry.preset] : null
  return {
    name,
    use: entry.use,
    audiences: audiencesOf(entry, deps.ourIssuer),
    algorithms: entry.algorithms,
    types: entry.typ,
    leewaySeconds: entry.leeway,
    maxAgeSeconds: entry.max_age ?? null,
    sessionSeconds: entry.session,
    account: entry.account ?? preset?.account ?? null,
    // An empty list says that there is none.
    instance: entry.instance?.length === 0 ? null : (entry.instance ?? preset?.instance ?? null),
    singleUse: entry.single_use,
    bindsAudience: entry.bind === 'audience',
  }
}

function createOidc(name: string, entry: OidcConfig, sharesIss: boolean, deps: OneIssuerDeps): Issuer {
  const rules = {
    ...commonRules(name, entry, deps),
    issuer: oidcIssuerOf(entry),
    sharesIss,
    attributes: attributeRulesOf(entry),
    require: entry.require,
    refuses: (entry.preset === undefined ? null : presets[entry.preset].refuses) ?? null,
    person: entry.person ?? null,
  }
  return createOidcIssuer(rules, oidcKeys(name, entry, deps), deps.clock)
}

function oidcKeys(name: string, entry: OidcConfig, deps: OneIssuerDeps): KeySource {
  const { max_stale: maxStaleSeconds } = entry
  const { softWaitMs } = deps
  if (entry.jwks !== undefined && 'file' in entry.jwks) {
    const load = loadFile(resolve(deps.directory, entry.jwks.file), (document) => parseKeySet(document, 'sig'))
    return new KeyCache(name, load, { ...fileTimings, maxStaleSeconds, softWaitMs }, deps.clock)
  }
  const written = entry.jwks?.uri ?? oidcIssuerOf(entry)
  const fetchDocument = createFetch(written, entry.allow_private_addresses, deps)
  const load =
    entry.jwks === undefined
      ? loadDiscovered(written, fetchDocument, deps.clock)
      : () => loadFrom(written, fetchDocument)
  const refreshSeconds = Math.min(remoteTimings.refreshSeconds, maxStaleSeconds / 2)
  return new KeyCache(name, load, { ...remoteTimings, refreshSeconds, maxStaleSeconds, softWaitMs }, deps.clock)
}

/** Loopback only where the operator's own URL says so: a discovered jwks_uri must not lead to this machine's services. */
function createFetch(written: string, allowPrivate: boolean, deps: OneIssuerDeps) {
  const addresses: AddressPolicy = allowPrivate
    ? 'any'
    : isLoopbackHost(new URL(written).hostname)
      ? 'loopback'
      : 'public'
  const bounds = {
    addresses,
    resolveHost: deps.resolveHost ?? resolveBySystem,
    timeoutMs: deps.fetchTimeoutMs ?? 5000,
    maxBytes: maxDocumentBytes,
  }
  return (url: string, server: ServerIdentity = {}) =>
    deps.monitor.watchFetch((noteAnswer) => fetchJson(url, { ...bounds, server, noteAnswer }))
}

function createSpiffe(name: string, entry: SpiffeConfig, sharesTrustDomain: boolean, deps: OneIssuerDeps): Issuer {
  const keys = createBundleSource(name, entry, {
    clock: deps.clock,
    directory: deps.directory,
    fetchFrom: (url) => createFetch(url, entry.allow_private_addresses, deps),
    report: deps.report ?? (() => undefined),
    timeoutMs: deps.fetchTimeoutMs ?? 5000,
    softWaitMs: deps.softWaitMs,
  })
  const rules = {
    ...commonRules(name, entry, deps),
    trustDomain: entry.trust_domain,
    sharesTrustDomain,
    paths: entry.paths.map(parsePathTemplate),
    person: null,
  }
  return createSpiffeIssuer(rules, keys, deps.clock)
}
