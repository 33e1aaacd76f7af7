// How long something takes, where other processes may hold it up: a stall of seconds hits one try, what is slow is slow in each.

/** Milliseconds until the work is done. */
export async function millisecondsOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

/**
 * What came of the first try that was through within `ms`; after so many tries of the last one. For what holds for that long and no
 * longer: a try that was held up says nothing of it. Each makes what it is about anew, and is judged when it is through.
 */
export async function withinTime<T>(ms: number, work: () => Promise<T>, tries = 20): Promise<T> {
  for (let i = 1; ; i++) {
    const started = performance.now()
    const outcome = await work()
    if (performance.now() - started < ms || i === tries) return outcome
  }
}

/** Tries until one took less than `enoughMs`, at most so often; the milliseconds of the quickest. */
export async function quickestOf(measure: () => Promise<number>, enoughMs: number, tries = 10): Promise<number> {
  let quickest = Number.POSITIVE_INFINITY
  for (let i = 0; i < tries && quickest >= enoughMs; i++) quickest = Math.min(quickest, await measure())
  return quickest
}
