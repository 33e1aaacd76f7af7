// A written situation → what the engine decides on, by the same catalogue, groups and limits as a broker's.
import type { Settings } from '../config/schema.js'
import { BrokerError } from '../core/errors.js'
import type { SettingProblem } from '../core/settings.js'
import { checkContext } from '../grants/catalogue.js'
import type { Grant } from '../grants/grant.js'
import type { Principal } from '../identity/principal.js'
import type { DecisionInput, OfferBounds, Resource, Standing } from '../policy/decision.js'
import { operateActions } from '../policy/schema.js'
import { minTtlSeconds } from '../providers/floors.js'
import { type DescribedChain, describedChain } from './described-chain.js'
import { describedHoldings } from './described-holdings.js'
import { describedPrincipal } from './described-principal.js'
import type { SituationRules } from './situation-rules.js'
import type { WrittenSituation } from './situation-schema.js'

interface Someone {
  readonly principal: Principal
  readonly groups: readonly string[]
}

export type Situation = Someone &
  (
    | {
        readonly kind: 'grant'
        readonly grant: Grant
        /** As it was asked for, before any limit. */
        readonly askedTtlSeconds: number
        readonly input: DecisionInput
        readonly bounds: OfferBounds
        /** Of a recorded decision: what the configuration of then made of principal and action. */
        readonly standing?: Standing
        /** Who stands above, where somebody does. */
        readonly chain?: DescribedChain
      }
    | { readonly kind: 'refused'; readonly action: string; readonly resource: string; readonly error: BrokerError }
    | {
        readonly kind: 'operate'
        readonly action: string
        readonly target: Resource | 'broker'
        readonly about: { action?: string; access?: string }
      }
  )

export type SituationReading = { situation: Situation } | { problems: SettingProblem[] }

/** The time at which a situation is that names none: always the same, so that a test never depends on the day. */
const defaultNow = '2026-01-01T12:00:00Z'

/** Paths of the problems start at the situation. */
export function resolveSituation(written: WrittenSituation, rules: SituationRules): SituationReading {
  const problems: SettingProblem[] = []
  const someone = describedPrincipal(written, rules, problems)
  const { action, resource } = written.request ?? {}
  if (action === undefined) problems.push({ path: ['request', 'action'], message: 'is missing' })
  if (resource === undefined) problems.push({ path: ['request', 'resource'], message: 'is missing' })
  if (someone === null || action === undefined || resource === undefined) return { problems }
  const isOperate = (operateActions as readonly string[]).includes(action)
  const situation = isOperate
    ? operating(written, action, resource, someone, rules, problems)
    : asking(written, action, resource, someone, rules, problems)
  return problems.length > 0 || situation === null ? { problems } : { situation }
}

function operating(
  { request, above }: WrittenSituation,
  action: string,
  resource: string,
  someone: Someone,
  { catalogue }: SituationRules,
  problems: SettingProblem[],
): Situation | null {
  if (above !== undefined) problems.push({ path: ['above'], message: 'nobody stands above an operator' })
  const target = resource === 'broker' ? 'broker' : catalogue.findResource(resource)
  if (target === undefined) problems.push({ path: ['request', 'resource'], message: unknownResource(resource) })
  const about: { action?: string; access?: string } = {}
  for (const [name, value] of Object.entries(request?.context ?? {})) {
    if ((name === 'action' || name === 'access') && typeof value === 'string') about[name] = value
    else problems.push({ path: ['request', 'context', name], message: 'expected only action and access, as text' })
  }
  return target === undefined ? null : { ...someone, kind: 'operate', action, target, about }
}

const unknownResource = (id: string) => `${JSON.stringify(id)} is no resource of the configuration`

function asking(
  written: WrittenSituation,
  action: string,
  resourceId: string,
  someone: Someone,
  rules: SituationRules,
  problems: SettingProblem[],
): Situation | null {
  const { settings, catalogue } = rules
  const grant = Object.hasOwn(settings.grants, action) ? settings.grants[action] : undefined
  const resource = catalogue.findResource(resourceId)
  if (grant === undefined) problems.push({ path: ['request', 'action'], message: `no grant is called ${action}` })
  if (resource === undefined) problems.push({ path: ['request', 'resource'], message: unknownResource(resourceId) })
  if (grant === undefined || resource === undefined) return null
  if (resource.type !== grant.resourceType) {
    const message = `${action} is on a ${grant.resourceType}, and this is a ${resource.type}`
    problems.push({ path: ['request', 'resource'], message })
    return null
  }
  try {
    return { ...someone, kind: 'grant', ...decisionParts(written, grant, resource, someone.principal, rules, problems) }
  } catch (error) {
    if (error instanceof BrokerError) return { ...someone, kind: 'refused', action, resource: resource.id, error }
    throw error
  }
}

/** As `resolveRequest` and `decide` make it of a request. Throws BrokerError `invalid_request` where those would. */
function decisionParts(
  written: WrittenSituation,
  grant: Grant,
  resource: Resource,
  principal: Principal,
  rules: SituationRules,
  problems: SettingProblem[],
) {
  const { settings } = rules
  const declared = checkContext(grant, written.request?.context ?? {})
  const askedTtlSeconds = written.request?.ttl ?? grant.ttl.defaultSeconds
  const floor = floorOf(grant, settings)
  if (askedTtlSeconds < floor) {
    throw new BrokerError(
      'invalid_request',
      `ttl: expected at least ${floor} s, which is what ${grant.provider} can give`,
    )
  }
  const requestedTtlSeconds = Math.min(askedTtlSeconds, grant.ttl.maxSeconds, settings.limits.lease.ttl)
  const asked = { access: grant.access, resource, ttlSeconds: requestedTtlSeconds }
  const held = describedHoldings(written, asked, rules, problems)
  const { task, above = [] } = written
  const input: DecisionInput = {
    principal,
    action: grant.action,
    resource,
    requestedTtlSeconds,
    declared,
    task: {
      ageSeconds: task?.age ?? 0,
      depth: task?.depth ?? above.length,
      activeLeases: task?.active ?? written.held?.session?.length ?? 0,
    },
    session: held.session,
    account: held.account,
    recentDenials: written.recent_denials ?? 0,
    escalation: written.escalation ?? held.escalation,
    binding: principal.binding,
    ...(written.approval === undefined ? {} : { approval: written.approval }),
    now: Date.parse(written.now ?? defaultNow),
  }
  const bounds: OfferBounds = {
    ttlSeconds: Math.min(requestedTtlSeconds, task?.ends_in ?? requestedTtlSeconds),
    minTtlSeconds: floor,
    binding: principal.binding,
    require: grant.require,
  }
  const chain = above.length === 0 ? {} : { chain: describedChain(above, asked, { input, bounds }, rules, problems) }
  return { grant, askedTtlSeconds, input, bounds, ...chain }
}

/** The shortest lifetime that the grant's provider can give. */
export function floorOf(grant: Grant, settings: Settings): number {
  const provider = Object.hasOwn(settings.providers, grant.provider) ? settings.providers[grant.provider] : undefined
  return provider === undefined ? 1 : minTtlSeconds[provider.type]
}
