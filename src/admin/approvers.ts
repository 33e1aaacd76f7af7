// `policy check` on those who approve: whether one human could be counted as two.
import type { LoadedConfig } from '../config/load.js'
import type { ConfigProblem } from '../config/problems.js'
import type { Settings } from '../config/schema.js'
import type { PolicySet } from '../policy/policy-set.js'

/**
 * Where approvers come from several issuers, those that name no `person`: there somebody is counted by principal, and with an
 * account at another of them once more.
 */
export function checkApprovers({ settings, problemAt }: LoadedConfig, set: PolicySet): ConfigProblem[] {
  const approving = issuersOf(settings, groupsAsked(settings, set))
  if (approving.length < 2) return []
  return approving.flatMap((name) => {
    const issuer = settings.issuers[name]
    if (issuer?.type !== 'oidc' || issuer.use !== 'operator' || issuer.person !== undefined) return []
    const others = approving.filter((other) => other !== name).join(', ')
    const message = `approvers of it are counted by principal: whoever is at ${others}, too, counts twice; expected person`
    return [problemAt(['issuers', name], message)]
  })
}

function groupsAsked({ grants }: Settings, { policies }: PolicySet): Set<string> {
  const offered = policies.map(({ offer }) => offer.approval)
  const required = Object.values(grants).map(({ require }) => require.approval)
  return new Set([...offered, ...required].flatMap((approval) => (approval ? [approval.group] : [])))
}

/** The issuers of operators in these groups, in the configuration's order. */
function issuersOf({ groups, issuers }: Settings, asked: ReadonlySet<string>): string[] {
  const members = Object.entries(groups).flatMap(([name, entries]) => (asked.has(name) ? entries : []))
  const named = new Set(members.map((one) => (typeof one === 'string' ? one.slice(0, one.indexOf(':')) : one.issuer)))
  return Object.entries(issuers).flatMap(([name, { use }]) => (use === 'operator' && named.has(name) ? [name] : []))
}
