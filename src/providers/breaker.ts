// Circuit breakers: a provider that does not answer costs nobody its time-out twice. Per process, issue and revoke apart, since
// a provider may still revoke where it cannot mint. What opens one is silence alone (unreachable, no answer in time): whoever
// answers, even with a refusal, is there. One probe at a time goes through after a back-off.
import type { Clock } from '../core/clock.js'

export type Direction = 'issue' | 'revoke'
/** `probing`: one call is under way that decides. */
export type BreakerState = 'closed' | 'probing' | 'open'

export interface BreakerSettings {
  /** So many calls in a row that went unanswered open it. */
  readonly failures: number
  /** The first back-off and the longest; each probe that fails doubles it. Milliseconds. */
  readonly firstMs: number
  readonly longestMs: number
  /** A probe of which nothing was heard for so long is forgotten, and another may go. Milliseconds. */
  readonly probeMs: number
}

const defaults: BreakerSettings = { failures: 5, firstMs: 5000, longestMs: 60_000, probeMs: 60_000 }

/** The permission for one call. Exactly one of its methods is called once; later ones change nothing. */
export interface Pass {
  /** It was answered, whatever the answer was. */
  answered(): void
  /** It was not reachable or did not answer in time. */
  unanswered(): void
  /** The call was not made, or says nothing of the provider. */
  withdrawn(): void
}

export class Breaker {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #settings: BreakerSettings
  readonly #changed: (state: BreakerState) => void
  #failures = 0
  #backOffMs = 0
  #closedAt = 0
  /** When a probe may go; null while it is closed. */
  #probeAt: number | null = null
  #probe: { readonly until: number } | null = null

  constructor(
    clock: Pick<Clock, 'monotonic'>,
    settings: BreakerSettings,
    changed: (state: BreakerState) => void = () => undefined,
  ) {
    this.#clock = clock
    this.#settings = settings
    this.#changed = changed
  }

  get state(): BreakerState {
    if (this.#probeAt === null) return 'closed'
    return this.#probe === null ? 'open' : 'probing'
  }

  /** Unanswered calls in a row. */
  get failures(): number {
    return this.#failures
  }

  /** Milliseconds until a call may be made, 0 when it may be made now. Changes nothing. */
  waitMs(): number {
    if (this.#probeAt === null) return 0
    const now = this.#clock.monotonic()
    // While a probe is out nobody knows; by the next second somebody may.
    if (this.#probe !== null && this.#probe.until > now) return Math.max(1000, this.#probeAt - now)
    return Math.max(0, this.#probeAt - now)
  }

  /** A permission to make one call now, or null: then `waitMs` tells when to ask again. */
  enter(): Pass | null {
    if (this.waitMs() > 0) return null
    const enteredAt = this.#clock.monotonic()
    if (this.#probeAt === null) return this.#passFor(null, enteredAt)
    const probe = { until: enteredAt + this.#settings.probeMs }
    this.#probe = probe
    this.#changed('probing')
    return this.#passFor(probe, enteredAt)
  }

  #passFor(probe: { readonly until: number } | null, enteredAt: number): Pass {
    let used = false
    const once = (then: () => void) => () => {
      if (used) return
      used = true
      then()
    }
    return {
      answered: once(() => this.#close()),
      unanswered: once(() => this.#fail(probe, enteredAt)),
      withdrawn: once(() => {
        if (probe === null || this.#probe !== probe) return
        this.#probe = null
        this.#changed('open')
      }),
    }
  }

  #close(): void {
    const wasOpen = this.#probeAt !== null
    this.#failures = 0
    this.#backOffMs = 0
    this.#closedAt = this.#clock.monotonic()
    this.#probeAt = null
    this.#probe = null
    if (wasOpen) this.#changed('closed')
  }

  #fail(probe: { readonly until: number } | null, enteredAt: number): void {
    // Sent before somebody was answered: old news. And while it is open only the probe's word counts.
    const isProbe = probe !== null && this.#probe === probe
    if (enteredAt < this.#closedAt || (this.#probeAt !== null && !isProbe)) return
    this.#failures += 1
    if (this.#probeAt === null && this.#failures < this.#settings.failures) return
    const { firstMs, longestMs } = this.#settings
    this.#backOffMs = this.#backOffMs === 0 ? firstMs : Math.min(longestMs, this.#backOffMs * 2)
    // Up to a tenth less, so that many processes do not probe at the same moment.
    this.#probeAt = this.#clock.monotonic() + this.#backOffMs * (1 - Math.random() / 10)
    this.#probe = null
    this.#changed('open')
  }
}

export interface Breakers {
  issue(provider: string): Breaker
  revoke(provider: string): Breaker
  /** For readiness: each provider that did not answer last time, and what follows from it. Empty when all is well. */
  troubles(): Record<string, string>
}

/** One breaker per provider and direction, made when first asked for. `changed` is told of each new state. */
export function createBreakers(
  clock: Pick<Clock, 'monotonic'>,
  changed: (provider: string, direction: Direction, state: BreakerState) => void = () => undefined,
  settings: Partial<BreakerSettings> = {},
): Breakers {
  const known = { issue: new Map<string, Breaker>(), revoke: new Map<string, Breaker>() }
  const breakerFor = (direction: Direction) => (provider: string) => {
    const found = known[direction].get(provider)
    if (found) return found
    const tell = (state: BreakerState) => changed(provider, direction, state)
    const breaker = new Breaker(clock, { ...defaults, ...settings }, tell)
    known[direction].set(provider, breaker)
    tell('closed')
    return breaker
  }
  return {
    issue: breakerFor('issue'),
    revoke: breakerFor('revoke'),
    troubles() {
      const said: Record<string, string> = {}
      for (const direction of ['issue', 'revoke'] as const) {
        for (const [provider, breaker] of known[direction]) {
          if (breaker.failures === 0) continue
          const trouble = describe(direction, breaker)
          said[provider] = said[provider] === undefined ? trouble : `${said[provider]}; ${trouble}`
        }
      }
      return said
    },
  }
}

function describe(direction: Direction, breaker: Breaker): string {
  const times = breaker.failures === 1 ? 'once' : `${breaker.failures} times in a row`
  const silent = `${direction}: does not answer (${times})`
  if (breaker.state === 'closed') return silent
  const seconds = Math.ceil(breaker.waitMs() / 1000)
  return breaker.state === 'probing' ? `${silent}, being probed` : `${silent}, open, next probe in ${seconds} s`
}
