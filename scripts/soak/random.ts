// Choices that can be made again: mulberry32, which is small and good enough to shuffle with.

export interface Random {
  /** In [0, 1). */
  next(): number
  /** In [low, high). */
  between(low: number, high: number): number
  chance(probability: number): boolean
  pick<T>(choices: readonly [T, ...T[]]): T
}

/** Each lane of a soak has one of its own, so that what one does changes no choice of another. */
export function createRandom(seed: number, lane: string): Random {
  let state = [...lane].reduce((mixed, letter) => Math.imul(mixed ^ letter.charCodeAt(0), 0x01000193), seed >>> 0) >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    next,
    between: (low, high) => low + next() * (high - low),
    chance: (probability) => next() < probability,
    pick: (choices) => choices[Math.floor(next() * choices.length)] ?? choices[0],
  }
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Waits so long, and no longer than until it is over. */
export async function pauseUnless(isOver: () => boolean, ms: number): Promise<void> {
  const end = performance.now() + ms
  while (!isOver() && performance.now() < end) await pause(Math.min(100, end - performance.now()))
}
