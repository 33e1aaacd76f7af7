// What /readyz tells of a running program beside the ledger: audit, issuers, providers, webhook, rules.
import type { AuditLog } from '../audit/audit-log.js'
import type { Parts } from '../broker/parts.js'
import type { Settings } from '../config/schema.js'
import type { Condition } from '../http/health.js'
import { observeIssuers } from './issuer-metrics.js'
import type { RulesInForce } from './rules-in-force.js'
import { webhookCondition } from './webhook.js'

/** Each part answers anew at every request: null or an empty object means that nothing is wrong. */
export function conditionOf(settings: Settings, parts: Parts, audit: AuditLog, inForce: RulesInForce): Condition {
  const issuers = () => inForce.current.issuers.issuers
  return {
    audit: () => {
      const { healthy, failure } = audit.status()
      return healthy ? null : (failure ?? 'the audit takes no records')
    },
    issuers: () =>
      Object.fromEntries(
        issuers().flatMap((one) => {
          const { lastError } = one.status()
          return lastError === null ? [] : [[one.name, lastError]]
        }),
      ),
    providers: () => parts.breakers.troubles(),
    ...webhookCondition(settings, parts),
    rules: () => inForce.refused,
    observe: () => observeIssuers(parts.metrics, issuers(), parts.clock),
  }
}
