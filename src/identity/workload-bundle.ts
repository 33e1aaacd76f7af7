// One trust domain's bundle as the Workload API streams it. What a standing stream said last is current, however long ago it
// said it; when the stream ends the last bundle serves up to `max_stale`, and then nobody is taken until it is back.
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../core/clock.js'
import { BrokerError } from '../core/errors.js'
import { type KeyStatus, namesOfKeys } from './jwks.js'
import { findKeys, type KeySet, type PublicKey } from './key-set.js'
import { parseJwtAuthorities, parseX509Authorities, type TrustBundle } from './trust-bundle.js'
import type { BundleMethod, Bundles } from './workload-api.js'

interface WorkloadBundleOptions {
  readonly issuerName: string
  /** `unix:///path` of the agent's socket. */
  readonly socket: string
  readonly trustDomain: string
  readonly maxStaleSeconds: number
  /** How long a caller waits for a first bundle. */
  readonly timeoutMs: number
  readonly clock: Clock
  /** Told what went wrong, and null when all is well. */
  readonly report: (problem: string | null) => void
}

type X509Authorities = ReturnType<typeof parseX509Authorities>

const retryAfterSeconds = 5

export class WorkloadBundle {
  readonly #options: WorkloadBundleOptions
  readonly #jwt: Held<KeySet>
  readonly #x509: Held<X509Authorities>
  #streams: Promise<readonly (() => void)[]> | null = null
  #isClosed = false

  constructor(options: WorkloadBundleOptions) {
    this.#options = options
    this.#jwt = new Held(options)
    this.#x509 = new Held(options)
  }

  async findKeys(alg: string, kid: string | undefined): Promise<readonly PublicKey[]> {
    const found = findKeys(await this.#value(this.#jwt), alg, kid)
    // The key may be new, and nobody tells us: that is not the caller's fault.
    if (found.length === 0 && this.#jwt.problem !== null) throw this.#unavailable(this.#jwt.problem)
    return found
  }

  async current(): Promise<TrustBundle> {
    const { authorities } = await this.#value(this.#x509)
    const jwtKeys = this.#jwt.find() ?? { keys: [], skipped: [] }
    return { jwtKeys, x509Authorities: authorities, sequence: null, refreshHintSeconds: null }
  }

  status(): KeyStatus {
    return {
      keysFetchedAt: this.#jwt.currentAt(),
      lastError: this.#jwt.problem ?? this.#x509.problem,
      usableKeys: namesOfKeys(this.#jwt.find()),
      skippedKeys: [...(this.#jwt.find()?.skipped ?? []), ...(this.#x509.find()?.skipped ?? [])],
    }
  }

  /** A standing stream is as fresh as can be: waits for one. */
  async refresh(): Promise<number> {
    this.#start()
    await this.#jwt.settled(this.#options.timeoutMs)
    await this.#x509.settled(this.#options.timeoutMs)
    const { problem } = this.#jwt
    const keys = this.#jwt.find()
    if (problem !== null || keys === null) throw new Error(problem ?? `${this.#options.socket} gave no bundle yet`)
    return keys.keys.length
  }

  close(): void {
    this.#isClosed = true
    // A stream that could not even be set up has nothing to close.
    this.#streams?.then(
      (streams) => {
        for (const close of streams) close()
      },
      () => undefined,
    )
  }

  async #value<T>(held: Held<T>): Promise<T> {
    this.#start()
    // After a failure nobody waits: it is tried again by itself, and a 503 that comes late helps nobody.
    if (held.find() === null && held.problem === null) await held.settled(this.#options.timeoutMs)
    const value = held.find()
    if (value === null) throw this.#unavailable(held.problem ?? `${this.#options.socket} gave no bundle yet`)
    return value
  }

  #start(): void {
    if (this.#isClosed || this.#streams !== null) return
    this.#streams = this.#open()
    this.#streams.catch((error: unknown) => this.#lose(this.#jwt, error instanceof Error ? error.message : 'failed'))
  }

  async #open(): Promise<readonly (() => void)[]> {
    // gRPC is loaded only where an issuer uses it: it is a large part of a start.
    const { subscribe } = await import('./workload-api.js')
    const { socket, trustDomain } = this.#options
    const follow = <T>(method: BundleMethod, held: Held<T>, parse: (bytes: Uint8Array | undefined) => T) =>
      subscribe(socket, method, {
        bundles: (bundles) => this.#take(held, () => parse(bundleOf(bundles, trustDomain))),
        ended: (problem) => this.#lose(held, problem),
      })
    return [
      follow('FetchJWTBundles', this.#jwt, (bytes) => (bytes === undefined ? this.#none() : readJwtBundle(bytes))),
      follow('FetchX509Bundles', this.#x509, (bytes) => parseX509Authorities(bytes ?? new Uint8Array())),
    ]
  }

  /** The agent answered, and trusts nobody of this domain (any more): all its keys are revoked. */
  #none(): KeySet {
    return { keys: [], skipped: [`the Workload API has no bundle of ${this.#options.trustDomain}`] }
  }

  #take<T>(held: Held<T>, parse: () => T): void {
    try {
      held.take(parse())
      this.#options.report(this.#jwt.problem ?? this.#x509.problem)
    } catch (error) {
      this.#lose(
        held,
        `${this.#options.socket}: the bundle ${error instanceof Error ? error.message : 'is unreadable'}`,
      )
    }
  }

  #lose(held: Held<unknown>, problem: string): void {
    held.lose(problem)
    this.#options.report(problem)
  }

  #unavailable(problem: string): BrokerError {
    const detail = `the keys of issuer "${this.#options.issuerName}" cannot be had at the moment`
    return new BrokerError('issuer_unavailable', detail, { retryAfterSeconds, cause: new Error(problem) })
  }
}

/** What one stream said last, and since when it says nothing any more. */
class Held<T> {
  readonly #clock: Clock
  readonly #maxStaleMs: number
  #value: T | null = null
  #lostAt: number | null = null
  readonly #waiters = new Set<() => void>()
  problem: string | null = null

  constructor({ clock, maxStaleSeconds }: Pick<WorkloadBundleOptions, 'clock' | 'maxStaleSeconds'>) {
    this.#clock = clock
    this.#maxStaleMs = maxStaleSeconds * 1000
  }

  take(value: T): void {
    this.#value = value
    this.#lostAt = null
    this.problem = null
    this.#wakeAll()
  }

  lose(problem: string): void {
    this.#lostAt ??= this.#clock.now()
    this.problem = problem
    this.#wakeAll()
  }

  /** What may still be used, or null. A clock set back makes it old, not young. */
  find(): T | null {
    if (this.#lostAt === null) return this.#value
    const age = this.#clock.now() - this.#lostAt
    return age >= 0 && age < this.#maxStaleMs ? this.#value : null
  }

  /** Epoch milliseconds at which the value was certainly right, or null where there is none. */
  currentAt(): number | null {
    return this.#value === null ? null : (this.#lostAt ?? this.#clock.now())
  }

  /** Resolves when the stream has said or lost something, or after `withinMs`. At once if it stands and has said something. */
  async settled(withinMs: number): Promise<void> {
    if (this.#value !== null && this.#lostAt === null) return
    const waiting = new AbortController()
    let wake = () => {}
    const woken = new Promise<void>((resolve) => {
      wake = resolve
    })
    this.#waiters.add(wake)
    await Promise.race([woken, delay(withinMs, undefined, { signal: waiting.signal }).catch(() => undefined)])
    waiting.abort()
    this.#waiters.delete(wake)
  }

  #wakeAll(): void {
    for (const wake of this.#waiters) wake()
  }
}

/** Keyed by the SPIFFE ID of the trust domain; own members only, since the names are another's. */
function bundleOf(bundles: Bundles, trustDomain: string): Uint8Array | undefined {
  const id = `spiffe://${trustDomain}`
  return Object.hasOwn(bundles, id) ? bundles[id] : undefined
}

function readJwtBundle(bytes: Uint8Array): KeySet {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (cause) {
    throw new Error('is not JSON', { cause })
  }
  return parseJwtAuthorities(document)
}
