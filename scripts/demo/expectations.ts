// Checks of the story. Each gives what it saw, as text for the reader, or throws.
import type { Answer } from './http-call.js'

/** One refusal or success: status and, for a problem, its code and reason. */
export function expectAnswer(answer: Answer, status: number, code?: string, reason?: string): string {
  const { body } = answer
  const seen = [answer.status, body.code ?? '', body.reason === undefined ? '' : `(${String(body.reason)})`]
  const right =
    answer.status === status &&
    (code === undefined || body.code === code) &&
    (reason === undefined || body.reason === reason)
  if (!right)
    throw new Error(
      `expected ${[status, code, reason].filter(Boolean).join(' ')}, got ${answer.status}: ${answer.text}`,
    )
  return seen.filter((part) => part !== '').join(' ')
}

/** Gives what the other side said when it refused; throws when it did not refuse. */
export async function expectRefused(attempt: () => Promise<unknown>, says: RegExp): Promise<string> {
  const outcome = await attempt().then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
  if (outcome === null) throw new Error('it was expected to be refused and was not')
  if (!says.test(outcome)) throw new Error(`expected ${says}, was refused with: ${outcome}`)
  return `refused: ${outcome.length > 60 ? `${outcome.slice(0, 59)}…` : outcome}`
}

export function expectTrue(holds: boolean, seen: string): string {
  if (!holds) throw new Error(`not so: ${seen}`)
  return seen
}

/** The text at that place of a JSON body. */
export function textAt(body: unknown, ...path: readonly (string | number)[]): string {
  const found = valueAt(body, path)
  if (typeof found !== 'string') throw new Error(`no text at ${path.join('.')} in ${JSON.stringify(body)}`)
  return found
}

export function valueAt(body: unknown, path: readonly (string | number)[]): unknown {
  let at = body
  for (const step of path)
    at = typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[step] : undefined
  return at
}

/** Looks every 100 ms until it gives something; throws after the time. */
export async function eventually<T>(what: string, seconds: number, look: () => Promise<T | null>): Promise<T> {
  const end = performance.now() + seconds * 1000
  for (;;) {
    const found = await look()
    if (found !== null) return found
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
