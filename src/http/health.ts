// Alive, ready, and how it goes.
import { createObserver } from '../broker/observe.js'
import type { Parts } from '../broker/parts.js'
import { clockToleranceMs } from '../core/clock.js'
import type { Answer } from './problem.js'
import { type Route, route } from './route.js'

/** What besides the ledger decides whether credentials can be issued; null or empty when all is well. */
export interface Condition {
  audit(): string | null
  /** Issuers whose keys cannot be had, providers that cannot be reached: listed, but no reason to be unready. */
  issuers(): Readonly<Record<string, string>>
  providers(): Readonly<Record<string, string>>
  /** Why people are not told of approvals; null when all is well. Listed, but no reason to be unready. */
  webhook?(): Promise<string | null>
  /** Why the rules on disk are not the ones in force; null: they are. The text is for operators, not for anybody who asks. */
  rules?(): string | null
  /** Before each scrape: sets the gauges that nothing else sets. */
  observe?(): void
}

const sweptWithinMs = 10_000

/** /healthz, /readyz and /metrics: what a program without an API serves, too. */
export function healthRoutes(condition: Condition, version: string): Route[] {
  let observe: (() => Promise<void>) | null = null
  const scrape = async (parts: Parts) => {
    observe ??= createObserver(parts)
    await observe()
    condition.observe?.()
    return await parts.metrics.registry.metrics()
  }
  return [
    route({
      method: 'GET',
      path: '/healthz',
      access: 'public',
      summary: 'Whether the program is alive.',
      run: async () => ({ status: 200, body: { status: 'alive', version } }),
    }),
    route({
      method: 'GET',
      path: '/readyz',
      access: 'public',
      summary: 'Whether credentials can be issued now; lists the providers and issuers that cannot.',
      run: ({ parts }) => readiness(parts, condition),
    }),
    route({
      method: 'GET',
      path: '/metrics',
      access: 'public',
      summary: 'Prometheus metrics.',
      type: 'text/plain',
      run: async ({ parts }) => ({
        status: 200,
        type: parts.metrics.registry.contentType,
        body: await scrape(parts),
      }),
    }),
  ]
}

async function readiness(parts: Parts, condition: Condition): Promise<Answer> {
  const problems: Record<string, string> = {}
  let failed = {}
  try {
    const { now, sweptAgoMs, incarnation, doubt, full } = await parts.ledger.ready()
    if (incarnation === null) problems.rolled_back = 'the ledger lost its memory; run hallpass recover'
    if (doubt !== null) problems.rolled_back = doubt
    if (full !== null) problems.ledger_unavailable = full
    if (sweptAgoMs === null || sweptAgoMs > sweptWithinMs)
      problems.no_worker = 'no worker has swept for 10 s; start hallpass worker'
    if (Math.abs(now - parts.clock.now()) > clockToleranceMs)
      problems.clock = "this broker's clock is more than 5 s off the ledger's"
    failed = await failedRevocations(parts)
  } catch {
    problems.ledger_unavailable = 'the ledger cannot be reached'
  }
  const audit = condition.audit()
  if (audit !== null) problems.audit_unavailable = audit
  const ready = Object.keys(problems).length === 0
  const webhook = (await condition.webhook?.().catch(() => null)) ?? null
  const rules = await rulesOf(parts, condition)
  const troubles = {
    issuers: condition.issuers(),
    providers: condition.providers(),
    ...(webhook ? { webhook } : {}),
    ...failed,
  }
  const body = { ready, problems, ...troubles, rules }
  return { status: ready ? 200 : 503, body, ...(ready ? {} : { headers: { 'retry-after': '5' } }) }
}

/** Credentials that nobody can end, by provider: no reason to be unready, and somebody's to look at (`lease list --state failed`). */
async function failedRevocations(parts: Parts): Promise<{ failed_revocations?: Record<string, number> }> {
  const counts = await parts.ledger.counts([...parts.providers.keys()])
  const failed = counts.providers.flatMap(({ provider, states }): [string, number][] =>
    states.failed === undefined ? [] : [[provider, states.failed]],
  )
  return failed.length === 0 ? {} : { failed_revocations: Object.fromEntries(failed) }
}

/** The set in force here, and what of it needs somebody's eye: none of it makes a broker unready. */
async function rulesOf(parts: Parts, condition: Condition): Promise<object> {
  const { hash, policy } = parts.rules()
  const notes: Record<string, string> = {}
  if ((condition.rules?.() ?? null) !== null) {
    notes.refused = 'what is on disk does not load; the last good set stays in force, the log says why'
  }
  const change = await parts.ledger.findRulesChange().catch(() => null)
  if (change !== null && change.hash !== hash) notes.behind = `other programs decide by ${change.hash}`
  if (change?.state === 'waiting') {
    const which = `${change.doomed} of ${change.live} live leases`
    notes.waiting = `${which} are no longer permitted; they wait for hallpass policy apply ${change.hash}`
  }
  return { hash, policy_set: policy.hash, ...notes }
}
