// The only reader of the time of day. Everything else is handed a Clock, so that tests can hold it.

export interface Clock {
  /** Wall clock, milliseconds since the epoch. */
  now(): number
  /** Milliseconds that never jump: for measuring what is left of a time-out. */
  monotonic(): number
}

/** Clocks of broker hosts and of Redis may be this far apart; further, and nothing is issued. */
export const clockToleranceMs = 5000

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}

export interface SetClock extends Clock {
  /** It is this time now, epoch milliseconds. */
  setTo(now: number): void
}

/**
 * Shows `base`'s time until it is set, from then on the time that it was set to and what has passed since. For what must not
 * be misled by a machine whose own clock is off.
 */
export function createSetClock(base: Clock): SetClock {
  let set: { now: number; at: number } | null = null
  return {
    now: () => (set === null ? base.now() : set.now + Math.floor(base.monotonic() - set.at)),
    monotonic: () => base.monotonic(),
    setTo(now) {
      set = { now, at: base.monotonic() }
    },
  }
}

/** RFC 3339 UTC with milliseconds, as every time on the wire and in the audit is written. */
export function toTimestamp(epochMs: number): string {
  return new Date(epochMs).toISOString()
}
