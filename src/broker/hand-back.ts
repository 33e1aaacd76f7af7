// How a worker that ends leaves what it has under way to another.

/** How long what was told to hand back may still take to say so. */
const handingBackMs = 2000

/** Waits for the work; tells it to hand back what it has after `withinMs`, and waits no longer than that takes. Never rejects. */
export async function handBackAfter(work: Promise<unknown>, stop: AbortController, withinMs: number): Promise<void> {
  const over = work.then(
    () => undefined,
    () => undefined,
  )
  if (withinMs === Number.POSITIVE_INFINITY) return await over
  const timers: NodeJS.Timeout[] = []
  const after = (ms: number) => new Promise<void>((resolve) => timers.push(setTimeout(resolve, ms)))
  const handedBack = after(withinMs).then(async () => {
    stop.abort()
    await after(handingBackMs)
  })
  await Promise.race([over, handedBack])
  for (const timer of timers) clearTimeout(timer)
}
