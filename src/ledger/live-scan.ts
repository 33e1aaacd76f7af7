// Pages of what may be alive and matches. There is no index but by provider and by task: the scripts match where the leases lie, a
// small step at a time, and what comes back is what was meant. What a filter finds late it finds in several answers.
import { systemClock } from '../core/clock.js'
import { invalidField } from '../core/errors.js'
import { issuerOf, type Lease } from './lease.js'
import { matches } from './lease-match.js'
import type { LeaseMatch } from './ledger.js'
import type { RunScript } from './scripts.js'
import { storedFingerprint } from './stored-lease.js'

/** For so long one answer looks at most; no caller waits for it longer than that and the leases of one page. */
const longestLookMs = 1500

export interface Step {
  /** `0` after the last one. */
  readonly next: string
  /** Lease, access, lease, access … */
  readonly found: readonly string[]
}

/** One step over a provider's index. `over`: also what has ended and stands there until its natural end. */
export async function scanStep(
  run: RunScript,
  provider: string,
  place: string,
  match: LeaseMatch,
  over: boolean,
): Promise<Step> {
  const [next = '0', ...found] = (await run('scan-live', provider, place, wantedOf(match), over ? 1 : 0)) as string[]
  return { next, found }
}

/** The match as the stored records have it; `needles`: texts without which a record cannot match, so that it need not be parsed. */
function wantedOf({ session, fingerprint, provider: _provider, attributes: _attributes, ...rest }: LeaseMatch): string {
  const { task, policy, principal, account, action, resource } = rest
  const named = [task, policy, principal, account, action, resource].filter((one) => one !== undefined)
  return JSON.stringify({
    ...rest,
    fingerprint: fingerprint === undefined ? undefined : storedFingerprint(fingerprint),
    // As `storeRecord` writes them.
    needles: [...named.map((one) => JSON.stringify(one)), ...(session === undefined ? [] : [beginOfSession(session)])],
  })
}

/** Sessions, like the principals and accounts of a record, begin with their issuer's name: `matches` looks at the rest. */
const beginOfSession = (session: string) => JSON.stringify(`${issuerOf(session)}:`).slice(0, -1)

/** Those of the providers that the match leaves. */
export const providersOf = ({ provider }: LeaseMatch, providers: readonly string[]) =>
  provider === undefined ? providers : providers.filter((name) => name === provider)

/**
 * A page of the leases that may be alive and match. It may hold fewer than `limit`, or none, while there is more: a filter that
 * few leases match is answered in pieces of bounded time. The cursor names a provider's due index, the place in it and how many of
 * that place's were given already: a small sorted set comes in one piece, however few were asked for.
 */
export async function scanLeases(
  { run, findLeases }: { run: RunScript; findLeases(ids: readonly string[]): Promise<Lease[]> },
  match: LeaseMatch,
  providers: readonly string[],
  cursor: string | null,
  limit: number,
  lookMs = longestLookMs,
): Promise<{ leases: Lease[]; cursor: string | null }> {
  const names = providersOf(match, providers)
  const begun = systemClock.monotonic()
  let at = parseCursor(cursor)
  const leases: Lease[] = []
  while (at.provider < names.length) {
    const { next, found } = await scanStep(run, names[at.provider] ?? '', at.place, match, true)
    const ids = found.filter((_, i) => i % 2 === 0)
    for (const lease of await findLeases(ids.slice(at.given))) {
      at = { ...at, given: ids.indexOf(lease.id) + 1 }
      // It may have changed since the step.
      if (matches(lease, match)) leases.push(lease)
      if (leases.length >= limit) return { leases, cursor: formatCursor(at) }
    }
    at = next === '0' ? { provider: at.provider + 1, place: '0', given: 0 } : { ...at, place: next, given: 0 }
    if (systemClock.monotonic() - begun > lookMs) break
  }
  return { leases, cursor: at.provider < names.length ? formatCursor(at) : null }
}

interface Place {
  provider: number
  place: string
  given: number
}

const formatCursor = (at: Place) => Buffer.from(`${at.provider}.${at.place}.${at.given}`).toString('base64url')

function parseCursor(cursor: string | null): Place {
  if (cursor === null) return { provider: 0, place: '0', given: 0 }
  const match = /^(\d{1,4})\.(\d{1,20})\.(\d{1,6})$/.exec(Buffer.from(cursor, 'base64url').toString('utf8'))
  if (!match) throw invalidField('cursor', 'expected a cursor from an earlier answer')
  return { provider: Number(match[1]), place: match[2] ?? '0', given: Number(match[3]) }
}
