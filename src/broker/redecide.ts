// When the rules change: every live lease is decided again, and what is no longer permitted is ended, the most privileged first.
// First all are judged, then some are ended: a set that would end many waits for an operator's word.
import { toTimestamp } from '../core/clock.js'
import type { RequirementDigests } from '../identity/requirements.js'
import { isCurrent } from '../ledger/lease.js'
import type { RedecisionTurn } from '../ledger/rules-change.js'
import { endDoomed, inOrder } from './end-doomed.js'
import { ForegroundGate } from './foreground-gate.js'
import { type Doomed, type JudgeOptions, judgePage, LeaseContexts } from './judge-live.js'
import type { Parts, Rules } from './parts.js'

export interface Redecided {
  readonly outcome: 'done' | 'waiting' | 'due'
  readonly live: number
  readonly doomed: number
  readonly ended: number
}

const pageSize = 50
/** It rests that many times as long as it judges: requests and revocations are to be had meanwhile. */
const pausePerWork = 2.5
const longestPauseMs = 250

/**
 * Judges all live leases by the rules that this program decides by, where they are the ones in force, are not judged yet, and
 * nobody else is at it. Null: nothing to do. Killed in the middle, whoever comes next begins anew: what was ended stays so.
 * Throws `ledger_unavailable`; the turn ends by itself then.
 */
export async function redecide(
  parts: Parts,
  foreground = new ForegroundGate(),
  /** Aborted: the turn is given back. */
  stopped: AbortSignal = new AbortController().signal,
): Promise<Redecided | null> {
  const rules = parts.rules()
  const turn = await parts.ledger.beginRedecision(rules.hash)
  if (turn === null) return null
  const work = new Work(parts, rules, turn, foreground)
  const kept = setInterval(() => void work.keep(), 2000)
  kept.unref()
  const stop = () => work.stop()
  stopped.addEventListener('abort', stop)
  try {
    if (stopped.aborted) stop()
    return await work.run()
  } finally {
    clearInterval(kept)
    stopped.removeEventListener('abort', stop)
    // Given back, so that another need not wait until the turn ends by itself.
    if (stopped.aborted) await parts.ledger.endRedecision(turn, 'due', { live: 0, doomed: 0 }, '')
  }
}

class Work {
  readonly #parts: Parts
  readonly #rules: Rules
  readonly #turn: RedecisionTurn
  readonly #foreground: ForegroundGate
  /** The turn is another's, or the rules have changed again. */
  #over = false

  constructor(parts: Parts, rules: Rules, turn: RedecisionTurn, foreground: ForegroundGate) {
    this.#parts = parts
    this.#rules = rules
    this.#turn = turn
    this.#foreground = foreground
  }

  async keep(): Promise<void> {
    const isOurs = await this.#parts.ledger.keepRedecision(this.#turn).catch(() => true)
    if (!isOurs) this.#over = true
  }

  stop(): void {
    this.#over = true
  }

  async run(): Promise<Redecided> {
    const { live, doomed } = await this.#judgeAll()
    const counts = { live, doomed: doomed.length }
    if (this.#over) return { outcome: 'due', ...counts, ended: 0 }
    if (!this.#turn.released && doomed.length > 0 && this.#endedBefore + doomed.length > this.#most(live)) {
      await this.#wait(counts)
      return { outcome: 'waiting', ...counts, ended: 0 }
    }
    const ended = await this.#endAll(inOrder(doomed))
    if (this.#over) return { outcome: 'due', ...counts, ended }
    await this.#finish(counts, ended)
    return { outcome: 'done', ...counts, ended }
  }

  /** By this change, should another have begun with it, and by those of the ten minutes before it: small mistakes add up. */
  get #endedBefore(): number {
    return this.#turn.ended + this.#turn.endedLately
  }

  /** Of those that stand and those that were ended before: whoever goes on has the same bound. */
  #most(live: number): number {
    return mostWithoutWord(this.#rules, live + this.#endedBefore)
  }

  async #judgeAll(): Promise<{ live: number; doomed: Doomed[] }> {
    const options = judgeOptions(this.#rules, this.#turn)
    const doomed = new Map<string, Doomed>()
    const seen = new Set<string>()
    const contexts = new LeaseContexts(this.#parts)
    const { ledger, providers } = this.#parts
    for await (const page of ledger.liveLeases({}, [...providers.keys()])) {
      await this.#foreground.giveWay()
      if (this.#over) break
      const before = process.cpuUsage()
      for (const lease of page.filter(isCurrent)) seen.add(lease.id)
      const judged = page.filter((lease) => lease.issuedAt === null || lease.issuedAt >= this.#turn.since)
      for (const one of await judgePage(this.#parts, this.#rules, judged, options, contexts)) doomed.set(one.lease, one)
      const { user, system } = process.cpuUsage(before)
      await pause(Math.min(longestPauseMs, ((user + system) / 1000) * pausePerWork))
    }
    return { live: seen.size, doomed: [...doomed.values()] }
  }

  /** Returns how many were told to end. */
  async #endAll(doomed: readonly Doomed[]): Promise<number> {
    const { endsPerSecond } = this.#rules.change
    let ended = 0
    for (let i = 0; i < doomed.length && !this.#over; i += pageSize) {
      await this.#foreground.giveWay()
      const begun = this.#parts.clock.monotonic()
      const page = doomed.slice(i, i + pageSize)
      ended += await endDoomed(this.#parts, this.#rules, page)
      await this.keep()
      const owed = (page.length / endsPerSecond) * 1000 - (this.#parts.clock.monotonic() - begun)
      if (i + pageSize < doomed.length) await pause(owed)
    }
    return ended
  }

  async #wait(counts: { live: number; doomed: number }): Promise<void> {
    const { audit, ledger, log } = this.#parts
    const most = this.#most(counts.live)
    if (!(await ledger.endRedecision(this.#turn, 'waiting', counts, this.#requires()))) return
    const { endedLately } = this.#turn
    log.warn(
      { rules: this.#rules.hash, ...counts, most, endedLately },
      'the changed rules would end more live leases than policy_change lets: they wait for hallpass policy apply',
    )
    await audit
      .append({
        event: 'rules.change_waits',
        ...this.#named(),
        ...counts,
        most,
        ...(endedLately > 0 ? { ended_lately: endedLately } : {}),
      })
      .catch((error: unknown) => log.error({ err: error }, 'that a change of rules waits could not be recorded'))
  }

  async #finish(counts: { live: number; doomed: number }, ended: number): Promise<void> {
    const { audit, ledger, log } = this.#parts
    if (!(await ledger.endRedecision(this.#turn, 'done', counts, this.#requires()))) return
    if (counts.live === 0 && ended === 0) return
    log.info({ rules: this.#rules.hash, ...counts, ended }, 'live leases were decided again')
    await audit
      .append({
        event: 'rules.redecided',
        ...this.#named(),
        begun_at: toTimestamp(this.#turn.begunAt),
        ...counts,
        ended,
      })
      .catch((error: unknown) => log.error({ err: error }, 'that leases were decided again could not be recorded'))
  }

  #named() {
    return { rules: this.#rules.hash, policy_set: this.#rules.policy.hash }
  }

  #requires(): string {
    return JSON.stringify(this.#rules.requirements.digests)
  }
}

/**
 * The rules that live leases were judged by last, as far as they are known. Null where those are the same as now: what was issued
 * meanwhile was by others, and these would find nothing new in themselves.
 */
export const judgedLastBy = (
  { hash, earlier }: Pick<Rules, 'hash' | 'earlier'>,
  applied: string | null,
): Rules | null => (applied === hash ? null : (earlier.find((one) => one.hash === applied) ?? null))

/** What a set is held against. */
export function judgeOptions(
  rules: Rules,
  { applied, requires }: Pick<RedecisionTurn, 'applied' | 'requires'>,
): JudgeOptions {
  return {
    requiredBefore: requires === null ? null : (JSON.parse(requires) as RequirementDigests),
    before: judgedLastBy(rules, applied),
  }
}

/** How many live leases may end without an operator's word. */
export const mostWithoutWord = ({ change }: Pick<Rules, 'change'>, live: number) =>
  Math.max(change.brakeLeases, Math.floor((live * change.brakePercent) / 100))

async function pause(ms: number): Promise<void> {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms))
}
