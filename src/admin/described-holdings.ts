// What session and account hold and were granted, as a test describes it → the looks that a broker's ledger would give.
import { holdingsOf, isEscalation } from '../broker/holders.js'
import { type ImaginedLease, imaginedLook } from '../broker/imagined-looks.js'
import type { SettingProblem } from '../core/settings.js'
import type { Access, Holdings, Resource } from '../policy/decision.js'
import type { SituationRules } from './situation-rules.js'
import type { WrittenLease, WrittenSituation } from './situation-schema.js'

/** What a request asks for: whether it is an escalation is told by it. */
export interface Asked {
  readonly access: Access
  readonly resource: Resource
  readonly ttlSeconds: number
}

/** Problems: actions and resources that the configuration does not have. */
export function describedHoldings(
  written: Pick<WrittenSituation, 'held' | 'granted'>,
  asked: Asked,
  rules: SituationRules,
  problems: SettingProblem[],
): { session: Holdings; account: Holdings; escalation: boolean } {
  const read = (when: 'held' | 'granted', who: 'session' | 'account') =>
    (written[when]?.[who] ?? []).flatMap((lease, index) => {
      const known = knownLease(lease, rules)
      if (typeof known !== 'string') return [known]
      problems.push({ path: [when, who, index], message: known })
      return []
    })
  const [heldBySession, grantedToSession] = [read('held', 'session'), read('granted', 'session')]
  const [heldByAccount, grantedToAccount] = [read('held', 'account'), read('granted', 'account')]
  // The session is part of its account.
  const heldInAccount = [...heldByAccount, ...heldBySession]
  const looks = [
    imaginedLook('session', heldBySession, [...heldBySession, ...grantedToSession]),
    imaginedLook('account', heldInAccount, [...heldInAccount, ...grantedToAccount, ...grantedToSession]),
  ]
  return {
    session: holdingsOf(looks, 'session'),
    account: holdingsOf(looks, 'account'),
    escalation: isEscalation(looks, asked),
  }
}

/** Or what is wrong with it. */
function knownLease(lease: WrittenLease, { settings, catalogue }: SituationRules): ImaginedLease | string {
  const { action, resource: id, ttl } = lease
  const grant = Object.hasOwn(settings.grants, action) ? settings.grants[action] : undefined
  if (grant === undefined) return `no grant is called ${action}`
  const resource = catalogue.findResource(id)
  if (resource?.type !== grant.resourceType)
    return `${JSON.stringify(id)} is no ${grant.resourceType} of the configuration`
  return { action, access: grant.access, resource, ttlSeconds: ttl ?? grant.ttl.defaultSeconds }
}
