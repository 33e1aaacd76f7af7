// What would be decided, by the policies in force and by a candidate: for one request, or for decisions that were made. Reads
// rules and audit files alone: nothing is reserved, minted or counted.
import type {
  LiveSimulation,
  RecordedSimulation,
  RequestSimulation,
  SimulatedRequest,
  SimulateRequest,
} from '../api/simulate.js'
import { canonicalJson, type Json } from '../core/canonical-json.js'
import { BrokerError } from '../core/errors.js'
import { sha256Hex } from '../core/hash.js'
import type { PolicyEngine } from '../policy/engine.js'
import { PolicySetError } from '../policy/policy-set.js'
import { toWire } from './change-tally.js'
import { changeOf, differencesOf, verdictView } from './compare-verdicts.js'
import { decideAgain } from './decide-again.js'
import type { Caller, Parts, Rules } from './parts.js'
import { simulateLive } from './simulate-live.js'
import { simulateRecorded } from './simulate-recorded.js'
import { resolveSimulated, type SimulatedWorld } from './simulated-request.js'

// A candidate is parsed and validated and a stretch of the audit read on the thread that also serves exchanges.
const atWork = new WeakSet<Parts>()

/**
 * Answers the simulation and writes down that it was asked for, with the candidate's hash. Throws `invalid_request` (400)
 * naming file and line of a candidate that does not validate, 404 as an exchange would, `busy` while another runs,
 * `audit_unavailable`.
 */
export async function simulate(
  parts: Parts,
  caller: Caller,
  body: SimulateRequest,
): Promise<RequestSimulation | RecordedSimulation | LiveSimulation> {
  if (atWork.has(parts)) throw new BrokerError('busy', 'another simulation is running here', { retryAfterSeconds: 1 })
  atWork.add(parts)
  try {
    const candidate = body.policies === undefined ? null : await tryCandidate(parts, body.policies)
    if (body.request !== undefined) {
      const answer = simulateOne(worldOf(parts), body.request, candidate)
      await record(parts, caller, candidate, { action: body.request.action, resource: body.request.resource })
      return answer
    }
    if (body.live !== undefined && candidate !== null) {
      const answer = await simulateLive(parts, candidate, body.live.cursor ?? null)
      await record(parts, caller, candidate, { live: { looked_at: answer.live, would_end: answer.would_end.length } })
      return answer
    }
    if (body.recorded === undefined || candidate === null) throw new BrokerError('internal', 'nothing to simulate')
    const answer = await simulateRecorded(parts, candidate, body.recorded)
    const { decisions, gains, losses, changes } = answer
    await record(parts, caller, candidate, { recorded: { ...body.recorded, decisions, gains, losses, changes } })
    return answer
  } finally {
    atWork.delete(parts)
  }
}

/** One request by both. `candidate`: null to see only what is decided now. */
export function simulateOne(
  world: SimulatedWorld,
  request: SimulatedRequest,
  candidate: PolicyEngine | null,
): RequestSimulation {
  const basis = resolveSimulated(world, request)
  const { policy } = world.rules
  const before = verdictView(decideAgain(policy, basis))
  const after = candidate === null ? null : verdictView(decideAgain(candidate, basis))
  return {
    policy_set: policy.hash,
    candidate: candidate?.hash ?? null,
    before: toWire(before),
    after: after === null ? null : toWire(after),
    change: after === null ? 'none' : changeOf(before, after),
    differences: after === null ? [] : differencesOf(before, after),
  }
}

function worldOf(parts: Parts): SimulatedWorld {
  return {
    rules: parts.rules(),
    now: parts.clock.now(),
    minTtlSecondsOf(grant) {
      const provider = parts.providers.get(grant.provider)
      if (!provider) throw new BrokerError('internal', `the grant ${grant.action} names a provider that is not there`)
      return provider.guarantees(grant.recipe).minTtlSeconds
    },
  }
}

// A simulation in pages sends its candidate with each, and to validate thousands of policies takes seconds.
const triedLast = new WeakMap<Rules, { readonly hash: string; readonly engine: PolicyEngine }>()

/** Throws `invalid_request` with a field per problem; the message names file and line. */
export async function tryCandidate(
  parts: Pick<Parts, 'rules'>,
  policies: Readonly<Record<string, string>>,
): Promise<PolicyEngine> {
  const rules = parts.rules()
  const hash = sha256Hex(canonicalJson(policies))
  const known = triedLast.get(rules)
  if (known?.hash === hash) return known.engine
  try {
    const engine = await rules.tryPolicies(policies)
    triedLast.set(rules, { hash, engine })
    return engine
  } catch (error) {
    if (!(error instanceof PolicySetError)) throw error
    const errors = error.problems
      .slice(0, 20)
      .map(({ file, line, message }) => ({ field: 'policies', message: `${file}:${line}: ${message}` }))
    throw new BrokerError('invalid_request', `policies: ${errors[0]?.message ?? 'not a policy set'}`, { errors })
  }
}

async function record(
  parts: Parts,
  caller: Caller,
  candidate: PolicyEngine | null,
  what: { readonly [member: string]: Json | undefined },
): Promise<void> {
  await parts.audit.append({
    event: 'policy.simulated',
    actor: caller.principal.id,
    request_id: caller.requestId,
    policy_set: parts.rules().policy.hash,
    ...(candidate === null ? {} : { candidate: candidate.hash }),
    ...what,
  })
}
