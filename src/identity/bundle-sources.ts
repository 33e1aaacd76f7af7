// The `bundle` of a SPIFFE issuer → a source that keeps it fresh. One per issuer: nothing of one trust domain is ever
// looked up in the bundle of another.
import { resolve } from 'node:path'
import type { Clock } from '../core/clock.js'
import { type FetchBundle, loadEndpoint, refreshSecondsOf } from './bundle-endpoint.js'
import { loadFile } from './discovery.js'
import type { SpiffeConfig } from './issuer-config.js'
import { fileTimings, KeyCache, type KeySource, remoteTimings } from './jwks.js'
import type { KeySet } from './key-set.js'
import { parseTrustBundle, type TrustBundle, type TrustBundleSource } from './trust-bundle.js'
import { WorkloadBundle } from './workload-bundle.js'

/** A trust domain's bundle: its JWT keys as a KeySource, and all of it. */
export interface BundleSource extends KeySource, TrustBundleSource {
  /** Ends what is kept open; what is known goes on serving until it is stale. */
  close(): void
}

interface BundleDeps {
  readonly clock: Clock
  /** The folder that files are relative to. */
  readonly directory: string
  /** Bounded fetches for one configured URL. */
  readonly fetchFrom: (url: string) => FetchBundle
  readonly report: (issuer: string, problem: string) => void
  /** How long a caller waits for the first answer of the Workload API. */
  readonly timeoutMs: number
  readonly softWaitMs?: number | undefined
}

/** Makes the source that `config.bundle` names. Makes no call: a bundle is had when first needed. */
export function createBundleSource(
  name: string,
  config: Pick<SpiffeConfig, 'trust_domain' | 'bundle' | 'max_stale'>,
  deps: BundleDeps,
): BundleSource {
  const { clock, directory, timeoutMs, softWaitMs } = deps
  const { file, endpoint, endpoint_spiffe_id: serverId, ca, workload_api: socket } = config.bundle
  const maxStaleSeconds = config.max_stale
  const report = createReport((problem) => deps.report(name, problem))
  if (socket !== undefined) {
    const trustDomain = config.trust_domain
    return new WorkloadBundle({ issuerName: name, socket, trustDomain, maxStaleSeconds, timeoutMs, clock, report })
  }
  const readFile = file === undefined ? null : loadFile(resolve(directory, file), parseTrustBundle)
  if (endpoint === undefined) {
    // The schema has made sure of one of the three.
    if (readFile === null) throw new Error(`issuer ${name} has no bundle`)
    return cached(name, readFile, { ...fileTimings, maxStaleSeconds, softWaitMs }, clock, report)
  }
  const server = readFile === null || serverId === undefined ? { ca } : { id: serverId, readInitial: readFile }
  const load = loadEndpoint(endpoint, server, deps.fetchFrom(endpoint))
  const refreshOf = (bundle: TrustBundle) => refreshSecondsOf(bundle, maxStaleSeconds)
  return cached(name, load, { ...remoteTimings, maxStaleSeconds, softWaitMs }, clock, report, refreshOf)
}

interface BundleKeys extends KeySet {
  readonly bundle: TrustBundle
}

type Timings = ConstructorParameters<typeof KeyCache>[2]

function cached(
  name: string,
  load: () => Promise<TrustBundle>,
  timings: Timings,
  clock: Clock,
  report: (problem: string | null) => void,
  refreshOf?: (bundle: TrustBundle) => number,
): BundleSource {
  const loadKeys = async (): Promise<BundleKeys> => {
    try {
      const bundle = await load()
      report(null)
      return { ...bundle.jwtKeys, ...(refreshOf && { refreshSeconds: refreshOf(bundle) }), bundle }
    } catch (error) {
      report(error instanceof Error ? error.message : String(error))
      throw error
    }
  }
  const cache = new KeyCache(name, loadKeys, timings, clock)
  return {
    findKeys: (alg, kid) => cache.findKeys(alg, kid),
    status: () => cache.status(),
    refresh: () => cache.refresh(),
    current: async () => (await cache.current()).bundle,
    close: () => undefined,
  }
}

/** What is wrong is told when it begins and when it changes, not at each try. */
function createReport(tell: (problem: string) => void): (problem: string | null) => void {
  let last: string | null = null
  return (problem) => {
    if (problem !== null && problem !== last) tell(problem)
    last = problem
  }
}
