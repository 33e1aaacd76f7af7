// The only reader of the time of day. Everything else is handed a Clock, so that tests can hold it.

export interface Clock {
  /** Wall clock, milliseconds since the epoch. */
  now(): number
  /** Milliseconds that never jump: for measuring what is left of a time-out. */
  monotonic(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}

/** RFC 3339 UTC with milliseconds, as every time on the wire and in the audit is written. */
export function toTimestamp(epochMs: number): string {
  return new Date(epochMs).toISOString()
}
