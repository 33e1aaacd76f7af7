// Keeps one issuer's keys: fetched when needed, shared by all waiters, held over an outage up to a stated bound.
// An outage is a 503, never the caller's 401; a flood of unknown kids costs one fetch per cool-down.
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../core/clock.js'
import { BrokerError } from '../core/errors.js'
import { findKeys, type KeySet, type PublicKey } from './key-set.js'
import { quoted } from './raw-token.js'

export interface KeySource {
  /** The keys that may have signed; empty when the issuer answered and has none such. Throws `issuer_unavailable`. */
  findKeys(alg: string, kid: string | undefined): Promise<readonly PublicKey[]>
  status(): KeyStatus
  /** Loads now, whatever the cool-down says; throws a readable Error. Returns how many keys are usable. */
  refresh(): Promise<number>
}

export interface KeyStatus {
  /** Epoch milliseconds. */
  readonly keysFetchedAt: number | null
  readonly lastError: string | null
  /** One line per key of the set that was refused. */
  readonly skippedKeys: readonly string[]
  /** One line per key that is used: its kid and what it may verify. */
  readonly usableKeys: readonly string[]
}

interface KeyTimings {
  /** How long keys serve while they cannot be loaded again. */
  readonly maxStaleSeconds: number
  /** From this age on they are loaded again, so that a removed key stops. */
  readonly refreshSeconds: number
  /** The least time between two loads for the sake of a key that is not among the known. */
  readonly cooldownSeconds: number
  /** How long after a failed load the next is tried. */
  readonly retrySeconds: number
  /** How long a caller whose key may still serve waits for a refresh; a second unless told. */
  readonly softWaitMs?: number | undefined
}

/** GitHub and the like rotate over days; half a minute is how long a brand-new key may be unknown to us. */
export const remoteTimings = { refreshSeconds: 300, cooldownSeconds: 30, retrySeconds: 5 } as const
/** A file costs a stat. */
export const fileTimings = { refreshSeconds: 1, cooldownSeconds: 1, retrySeconds: 1 } as const

// A hanging issuer must not slow honest callers.
const defaultSoftWaitMs = 1000

/** One line per key: its kid and what it may verify. */
export const namesOfKeys = (set: KeySet | null): string[] =>
  (set?.keys ?? []).map(
    ({ kid, algorithms }) => `${kid === undefined ? 'no kid' : quoted(kid)} (${algorithms.join(', ')})`,
  )

/** `Keys` is what a load gives: a key set, or one that comes with more. */
export class KeyCache<Keys extends KeySet = KeySet> implements KeySource {
  readonly #issuerName: string
  readonly #load: () => Promise<Keys>
  readonly #timings: KeyTimings
  readonly #clock: Clock
  #known: { readonly set: Keys; readonly at: number } | null = null
  #attemptedAt: number | null = null
  #lastError: Error | null = null
  #inFlight: Promise<void> | null = null

  constructor(issuerName: string, load: () => Promise<Keys>, timings: KeyTimings, clock: Clock) {
    this.#issuerName = issuerName
    this.#load = load
    this.#timings = timings
    this.#clock = clock
  }

  async findKeys(alg: string, kid: string | undefined): Promise<readonly PublicKey[]> {
    const keys = findKeys(await this.current(), alg, kid)
    if (keys.length > 0) return keys
    await this.#loadUnlessTried(this.#timings.cooldownSeconds)
    const found = findKeys(this.#usableOrThrow(), alg, kid)
    // The key may be new, and we could not look: that is not the caller's fault.
    if (found.length === 0 && this.#lastError !== null) throw this.#unavailable()
    return found
  }

  /** What counts now, loaded again when it is due. Throws `issuer_unavailable`. */
  async current(): Promise<Keys> {
    const dueSeconds = this.#known?.set.refreshSeconds ?? this.#timings.refreshSeconds
    if (!this.#isYounger(this.#known?.at, dueSeconds)) {
      const loaded = this.#loadUnlessTried(0)
      const { softWaitMs = defaultSoftWaitMs } = this.#timings
      await (this.#usable() === null ? loaded : Promise.race([loaded, delay(softWaitMs, undefined, { ref: false })]))
    }
    return this.#usableOrThrow()
  }

  status(): KeyStatus {
    return {
      keysFetchedAt: this.#known?.at ?? null,
      lastError: this.#lastError?.message ?? null,
      skippedKeys: this.#known?.set.skipped ?? [],
      usableKeys: namesOfKeys(this.#known?.set ?? null),
    }
  }

  async refresh(): Promise<number> {
    await this.#loadShared()
    if (this.#lastError !== null) throw this.#lastError
    return this.#known?.set.keys.length ?? 0
  }

  /** Wall time, since a monotonic clock stands still while a machine sleeps; a clock set back makes keys old, not young. */
  #isYounger(at: number | null | undefined, seconds: number): boolean {
    if (at === null || at === undefined) return false
    const age = this.#clock.now() - at
    return age >= 0 && age < seconds * 1000
  }

  #usable(): Keys | null {
    return this.#known !== null && this.#isYounger(this.#known.at, this.#timings.maxStaleSeconds)
      ? this.#known.set
      : null
  }

  #usableOrThrow(): Keys {
    const set = this.#usable()
    if (set === null) throw this.#unavailable()
    return set
  }

  /** After a failed load the next one waits for `retrySeconds`, whatever it is for. */
  #loadUnlessTried(withinSeconds: number): Promise<void> {
    const waitSeconds = this.#lastError === null ? withinSeconds : this.#timings.retrySeconds
    if (this.#inFlight === null && this.#isYounger(this.#attemptedAt, waitSeconds)) return Promise.resolve()
    return this.#loadShared()
  }

  /** One load at a time, shared by whoever comes meanwhile. Never rejects: what went wrong is in #lastError. */
  #loadShared(): Promise<void> {
    this.#inFlight ??= this.#loadOnce().finally(() => {
      this.#inFlight = null
    })
    return this.#inFlight
  }

  async #loadOnce(): Promise<void> {
    try {
      const set = await this.#load()
      this.#known = { set, at: this.#clock.now() }
      this.#lastError = null
    } catch (error) {
      this.#lastError = error as Error
    }
    this.#attemptedAt = this.#clock.now()
  }

  #unavailable(): BrokerError {
    const sinceAttempt = (this.#clock.now() - (this.#attemptedAt ?? 0)) / 1000
    const retryAfterSeconds = Math.max(1, Math.ceil(this.#timings.retrySeconds - sinceAttempt))
    const detail = `the keys of issuer "${this.#issuerName}" cannot be had at the moment`
    return new BrokerError('issuer_unavailable', detail, { retryAfterSeconds, cause: this.#lastError })
  }
}
