// Every metric is declared here, with a bounded set of labels.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** What `hallpass_breaker_state` says. */
export const breakerStates = { closed: 0, probing: 1, open: 2 } as const

export type Metrics = ReturnType<typeof createMetrics>

/** One registry per program. */
export function createMetrics() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  return {
    registry,
    requests: new Counter({
      name: 'hallpass_http_requests_total',
      help: 'Requests answered, by route and status.',
      labelNames: ['route', 'status'],
      registers,
    }),
    requestSeconds: new Histogram({
      name: 'hallpass_http_request_seconds',
      help: 'Time to answer a request, by route.',
      labelNames: ['route'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
      registers,
    }),
    decisions: new Counter({
      name: 'hallpass_decisions_total',
      help: 'Policy decisions, by effect.',
      labelNames: ['effect'],
      registers,
    }),
    leasesIssued: new Counter({
      name: 'hallpass_leases_issued_total',
      help: 'Credentials issued, by provider.',
      labelNames: ['provider'],
      registers,
    }),
    leasesEnded: new Counter({
      name: 'hallpass_leases_ended_total',
      help: 'Leases ended, by provider and state.',
      labelNames: ['provider', 'state'],
      registers,
    }),
    revocationRetries: new Counter({
      name: 'hallpass_revocation_retries_total',
      help: 'Attempts to end a lease that have to be made again, by provider.',
      labelNames: ['provider'],
      registers,
    }),
    revocationSeconds: new Histogram({
      name: 'hallpass_revocation_seconds',
      help: 'From the order to end a lease, or its deadline, to its being proven dead, by provider.',
      labelNames: ['provider'],
      buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 300],
      registers,
    }),
    sweeperFinds: new Counter({
      name: 'hallpass_sweeper_finds_total',
      help: 'Due leases that the sweeper handed out, by provider.',
      labelNames: ['provider'],
      registers,
    }),
    breakerState: new Gauge({
      name: 'hallpass_breaker_state',
      help: "A provider's circuit breaker in this process, by direction (issue, revoke): 0 closed, 1 probing, 2 open.",
      labelNames: ['provider', 'direction'],
      registers,
    }),
    orphansFound: new Counter({
      name: 'hallpass_orphans_found_total',
      help: 'Credentials found alive at a provider that the ledger does not hold alive, by what became of them.',
      labelNames: ['provider', 'outcome'],
      registers,
    }),
    notices: new Counter({
      name: 'hallpass_notices_total',
      help: 'Notices for the webhook of approvals, by what became of a try (delivered, failed, given_up), or lost unsent.',
      labelNames: ['outcome'],
      registers,
    }),
    rulesRefused: new Gauge({
      name: 'hallpass_rules_refused',
      help: '1 while the configuration or the policies on disk do not load, and the last good set stays in force.',
      registers,
    }),
    leasesRedecided: new Counter({
      name: 'hallpass_leases_redecided_total',
      help: 'Live leases ended because changed rules no longer permit them, by why.',
      labelNames: ['reason'],
      registers,
    }),
    ...createLedgerGauges(registers),
    ...createIssuerMetrics(registers),
  }
}

/** What this program saw of each issuer. The gauges are read at each scrape (compose/issuer-metrics.ts). */
function createIssuerMetrics(registers: Registry[]) {
  return {
    issuerFetches: new Counter({
      name: 'hallpass_issuer_fetches_total',
      help: "Fetches of an issuer's documents, by how they ended (ok, bad_answer, late, unreachable).",
      labelNames: ['issuer', 'outcome'],
      registers,
    }),
    issuerRefusals: new Counter({
      name: 'hallpass_issuer_refusals_total',
      help: 'Tokens refused, by the check that refused; issuer none: before one was chosen.',
      labelNames: ['issuer', 'reason'],
      registers,
    }),
    issuerKeyAgeSeconds: new Gauge({
      name: 'hallpass_issuer_key_age_seconds',
      help: "Since the issuer's keys were last had; they are loaded again when a token needs them. Absent: never had.",
      labelNames: ['issuer'],
      registers,
    }),
    issuerSkewSeconds: new Gauge({
      name: 'hallpass_issuer_skew_seconds',
      help: "How far the issuer's clock is ahead of ours, by the Date of its answers, or at least by its tokens' iat.",
      labelNames: ['issuer', 'by'],
      registers,
    }),
  }
}

/** What is read from the ledger and the queue at each scrape (broker/observe.ts): the same whichever program is asked. */
function createLedgerGauges(registers: Registry[]) {
  return {
    ledgerUp: new Gauge({
      name: 'hallpass_ledger_up',
      help: 'Whether the ledger answered this scrape; without it nothing below is told.',
      registers,
    }),
    leases: new Gauge({
      name: 'hallpass_leases',
      help: 'Leases whose credential is not proven dead, by provider and state.',
      labelNames: ['provider', 'state'],
      registers,
    }),
    oldestOverdueSeconds: new Gauge({
      name: 'hallpass_oldest_overdue_seconds',
      help: 'How long ago the latest lease should have been dead, by provider; 0 when none is late.',
      labelNames: ['provider'],
      registers,
    }),
    changeWaiting: new Gauge({
      name: 'hallpass_policy_change_waiting',
      help: "Live leases that changed rules no longer permit and that wait for an operator's word; 0: none wait.",
      registers,
    }),
    recordsOwed: new Gauge({
      name: 'hallpass_audit_records_owed',
      help: 'Ends of leases whose audit record is still to be written.',
      registers,
    }),
    queueDepth: new Gauge({
      name: 'hallpass_queue_depth',
      help: 'Revocation jobs by provider and whether they wait or run.',
      labelNames: ['provider', 'state'],
      registers,
    }),
    sweptSecondsAgo: new Gauge({
      name: 'hallpass_swept_seconds_ago',
      help: 'Since the last sweep of any worker; absent when there was none.',
      registers,
    }),
  }
}

/**
 * Counters that an alert takes the increase of stand at 0 from the start: the first value of a series that was not there is no
 * increase, so nobody would be woken by the first orphan.
 */
export function beginCounters(
  { orphansFound, notices, issuerRefusals }: Metrics,
  { providers, issuers }: { providers: Iterable<string>; issuers: Iterable<string> },
): void {
  for (const provider of providers) {
    for (const outcome of ['revoked', 'gone', 'failed']) orphansFound.inc({ provider, outcome }, 0)
  }
  for (const outcome of ['delivered', 'failed', 'given_up', 'lost']) notices.inc({ outcome }, 0)
  for (const issuer of issuers) issuerRefusals.inc({ issuer, reason: 'unavailable' }, 0)
}
