// The rules that are in force in this program, and what becomes of a change on disk: taken whole when it loads, else refused.
import type { Parts } from '../broker/parts.js'
import type { LoadedConfig } from '../config/load.js'
import { parsePolicySetApart } from '../policy/parse-apart.js'
import { describeError } from '../telemetry/logger.js'
import { countIssuerEvents } from './issuer-metrics.js'
import { checkRunning, findUnreloaded } from './needs-restart.js'
import { composeRules, following, type RuleSet } from './rules.js'
import { type RulesWatch, watchRules } from './watch-rules.js'

export class RulesInForce {
  #current: RuleSet
  #refused: string | null = null

  constructor(first: RuleSet) {
    this.#current = first
  }

  get current(): RuleSet {
    return this.#current
  }

  /** Why what is on disk now is not in force; null: it is. */
  get refused(): string | null {
    return this.#refused
  }

  close(): void {
    this.#current.issuers.close()
  }

  /** Says in the log and in the audit what became of each change. `chain`: the folder of our audit, where the sets are kept. */
  watch(started: LoadedConfig, parts: Parts, chain: string): RulesWatch {
    return watchRules(started, this.#current.policyFiles, {
      load: async (next) => {
        checkRunning(next, started.settings)
        const sections = findUnreloaded(next.settings, started.settings)
        if (sections.length > 0) parts.log.warn({ sections }, 'these were changed, too, and take a restart')
        const fresh = await composeRules(next.settings, next.file, parts.clock, {
          log: parts.log,
          events: countIssuerEvents(parts.metrics),
          parseCandidate: parsePolicySetApart,
        })
        const drop = () => fresh.issuers.close()
        // Before anything is decided by it, and not taken when it cannot be kept.
        await fresh.keepPolicies(chain).catch((error: unknown) => {
          drop()
          throw error
        })
        return { take: () => this.#take(fresh, parts), drop }
      },
      refused: (error) => this.#refuse(error, parts),
    })
  }

  async #take(fresh: RuleSet, parts: Parts): Promise<void> {
    const last = this.#current
    this.#current = following(fresh, last)
    last.issuers.close()
    this.#refused = null
    parts.metrics.rulesRefused.set(0)
    const named = { policy_set: fresh.rules.policy.hash, rules: fresh.rules.hash }
    parts.log.info(named, 'policies, catalogue and issuers were loaded anew')
    // In force they are, whether that can be written down or not: the old ones are no safer.
    await parts.audit
      .append({ event: 'rules.loaded', ...named })
      .catch((error: unknown) => parts.log.error({ err: error }, 'that rules were loaded could not be recorded'))
  }

  async #refuse(error: unknown, parts: Parts): Promise<void> {
    this.#refused = describeError(error).message.slice(0, 2000)
    parts.metrics.rulesRefused.set(1)
    parts.log.error({ err: error }, 'the changed configuration was refused; the last good one stays in force')
    await parts.audit.append({ event: 'rules.refused', detail: this.#refused })
  }
}
