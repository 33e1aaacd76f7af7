// Times of single requests → what is said of them.

export interface Load {
  readonly turns: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** `times` in milliseconds, over so many seconds. */
export function summarise(times: number[], seconds: number): Load {
  const sorted = Float64Array.from(times).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { turns: times.length, perSecond: times.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99) }
}
