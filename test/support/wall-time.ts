// How long something takes, where other processes may hold it up: a stall of seconds hits one try, what is slow is slow in each.

/** Milliseconds until the work is done. */
export async function millisecondsOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

/** Tries until one took less than `enoughMs`, at most so often; the milliseconds of the quickest. */
export async function quickestOf(measure: () => Promise<number>, enoughMs: number, tries = 10): Promise<number> {
  let quickest = Number.POSITIVE_INFINITY
  for (let i = 0; i < tries && quickest >= enoughMs; i++) quickest = Math.min(quickest, await measure())
  return quickest
}
