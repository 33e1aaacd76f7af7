// Whether a lease is one of those that a filter means. lua/scan-live.lua says the same of the records as they are stored, but for the
// session.
import { holderId, sessionName } from './keys.js'
import { actorsOf, issuerOf, type Lease } from './lease.js'
import type { LeaseMatch } from './ledger.js'

/** Whoever is named by the filter is meant with all that is below it in a chain: its end ends that, too (I7). */
function isOfAny({ principal, account, issuer }: LeaseMatch, record: Lease['record']): boolean {
  const actors = actorsOf(record)
  return (
    (principal === undefined || actors.some((actor) => actor.principal === principal)) &&
    (account === undefined || actors.some((actor) => actor.account === account)) &&
    (issuer === undefined || actors.some((actor) => issuerOf(actor.principal) === issuer))
  )
}

/**
 * A session is an instance, as tasks show it, or where there is none an account; of a chain any that it is counted against.
 * Its holder's own name is taken, too: instances of two accounts may be called the same where the configuration names them so.
 */
function isOfSession(session: string, record: Lease['record']): boolean {
  const names = [session, ...actorsOf(record).map(({ account }) => sessionName({ account, instance: session }))]
  return names.some((name) => record.holders.includes(holderId('session', name)))
}

/** Whether every part of the filter that is given holds for the lease. */
export function matches(lease: Lease, match: LeaseMatch): boolean {
  const { record } = lease
  const is = <T>(wanted: T | undefined, actual: T) => wanted === undefined || wanted === actual
  return (
    is(match.lease, lease.id) &&
    (match.task === undefined || record.chain.includes(match.task)) &&
    isOfAny(match, record) &&
    is(match.action, record.action) &&
    is(match.resource, record.resource) &&
    is(match.provider, record.provider) &&
    (match.state === 'live' || is(match.state, lease.state)) &&
    (match.session === undefined || isOfSession(match.session, record)) &&
    (match.policy === undefined || record.policies.includes(match.policy)) &&
    (match.fingerprint === undefined || lease.fingerprints.includes(match.fingerprint)) &&
    (match.issuedAfter === undefined || (lease.issuedAt ?? Number.POSITIVE_INFINITY) > match.issuedAfter) &&
    (match.issuedBefore === undefined || (lease.issuedAt ?? Number.POSITIVE_INFINITY) < match.issuedBefore)
  )
}
