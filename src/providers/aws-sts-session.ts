// From a lease and a filled recipe to what STS is asked for: role, session name, policy, tags, duration. No network.
import { BrokerError } from '../core/errors.js'
import { sha256Hex } from '../core/hash.js'
import { duration, type SettingProblem } from '../core/settings.js'
import { parseRoleArn, type RoleName } from './aws-sts-config.js'
import { completeSessionPolicy, findOversize, validateSessionPolicy } from './aws-sts-session-policy.js'
import { declaredText } from './intent.js'
import type { JsonObject, LeaseToIssue } from './provider.js'

/** STS gives no session shorter than this; our dated deny ends it earlier. */
const stsFloorSeconds = 900
const defaultMaxSessionSeconds = 3_600

export interface SessionPlan {
  readonly role: RoleName
  /** RoleSessionName and SourceIdentity: the lease id. */
  readonly session: string
  readonly policy: string
  readonly tags: Readonly<Record<string, string>>
  readonly maxSessionSeconds: number
}

/** What is wrong with a recipe whose placeholders are unfilled. `maxTtlSeconds` is the grant's. */
export function validateRecipe(recipe: JsonObject, maxTtlSeconds: number): SettingProblem[] {
  const problems: SettingProblem[] = Object.keys(recipe)
    .filter((key) => key !== 'role' && key !== 'session_policy' && key !== 'max_session')
    .map((key) => ({ path: [key], message: 'unknown key; expected role, session_policy or max_session' }))
  // One character for each placeholder: what is wrong even then stays wrong however they are filled.
  const shortest = JSON.parse(JSON.stringify(recipe).replace(/\$\{[^}"]*\}/g, 'x')) as JsonObject
  if (typeof shortest.role !== 'string' || !parseRoleArn(shortest.role)) {
    problems.push({ path: ['role'], message: 'expected the ARN of an IAM role' })
  }
  const policyProblems = validateSessionPolicy(shortest.session_policy)
  for (const found of policyProblems) problems.push({ ...found, path: ['session_policy', ...found.path] })
  if (policyProblems.length === 0) {
    const oversize = findOversize(completeSessionPolicy(shortest.session_policy as JsonObject, 0), {})
    if (oversize) problems.push({ path: ['session_policy'], message: oversize })
  }
  const maxSession = findMaxSession(recipe)
  if (maxSession === undefined) {
    problems.push({ path: ['max_session'], message: "expected the role's maximum session duration, from 15m to 12h" })
  } else if (maxTtlSeconds > maxSession) {
    const message = `the grant's ttl.max (${maxTtlSeconds} s) is longer than the role's sessions (${maxSession} s): lower it, or set max_session to what the role allows`
    problems.push({ path: ['max_session'], message })
  }
  return problems
}

/** Throws BrokerError `unfillable_recipe` where the filled recipe does not make a request that STS can take. */
export function planSession(lease: Omit<LeaseToIssue, 'remainingMs'>, recipe: JsonObject): SessionPlan {
  const role = typeof recipe.role === 'string' ? parseRoleArn(recipe.role) : undefined
  if (!role) throw unfillable('role is not the ARN of an IAM role')
  const problem = validateSessionPolicy(recipe.session_policy)[0]
  if (problem) throw unfillable(`session_policy.${problem.path.join('.')}: ${problem.message}`)
  const maxSessionSeconds = findMaxSession(recipe)
  if (maxSessionSeconds === undefined) throw unfillable('max_session is not a duration from 15m to 12h')
  const policy = completeSessionPolicy(recipe.session_policy as JsonObject, lease.deadline)
  const own = sessionTags(lease)
  const withChain = { ...own, ...chainTag(lease) }
  // Both stand in our audit in any case: no request fails because they do not fit at AWS, too.
  const tags = [{ ...withChain, ...declaredTag(lease) }, withChain].find((one) => !findOversize(policy, one)) ?? own
  const oversize = findOversize(policy, tags)
  if (oversize) throw unfillable(oversize)
  return { role, session: lease.id, policy, tags, maxSessionSeconds }
}

/** The DurationSeconds to ask for: what is left, at least STS's floor, at most what the role gives. */
export function sessionSeconds(remainingMs: number, maxSessionSeconds: number): number {
  return Math.min(maxSessionSeconds, Math.max(stsFloorSeconds, Math.ceil(remainingMs / 1000)))
}

/** The role's MaxSessionDuration as the recipe states it (AWS's default: 1 h). Undefined where it is no duration. */
function findMaxSession(recipe: JsonObject): number | undefined {
  if (recipe.max_session === undefined) return defaultMaxSessionSeconds
  const parsed = duration.safeParse(recipe.max_session)
  return parsed.success && parsed.data >= stsFloorSeconds && parsed.data <= 43_200 ? parsed.data : undefined
}

/** Few and short: tags share the token's packed size with the policy. CloudTrail shows them beside every call. */
function sessionTags(lease: Omit<LeaseToIssue, 'remainingMs'>): Record<string, string> {
  return {
    hallpass_task: tagValue(lease.taskId),
    hallpass_principal: tagValue(lease.principal),
    hallpass_action: tagValue(lease.action),
    hallpass_resource: tagValue(lease.resource),
  }
}

/** Who stands above the caller, its parent first; nothing for a root task. Cut like any other value. */
/** What the caller declared about the change. */
function declaredTag(lease: Omit<LeaseToIssue, 'remainingMs'>): Record<string, string> {
  const text = declaredText(lease)
  return text === null ? {} : { hallpass_declared: tagValue(text) }
}

function chainTag({ chain }: Omit<LeaseToIssue, 'remainingMs'>): Record<string, string> {
  const above = chain.slice(1).map(({ principal }) => principal)
  return above.length === 0 ? {} : { hallpass_chain: tagValue(above.join(' ')) }
}

/** Any text as a tag's value: foreign characters become `_`, and what was changed or cut keeps apart by a hash. */
export function tagValue(text: string, maxLength = 96): string {
  const clean = text.replace(/[^A-Za-z0-9 _.:/=+@-]/g, '_')
  if (clean === text && text.length <= maxLength) return text
  return `${clean.slice(0, maxLength - 13)}-${sha256Hex(text).slice(0, 12)}`
}

function unfillable(detail: string): BrokerError {
  return new BrokerError('unfillable_recipe', detail)
}
