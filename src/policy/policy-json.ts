// A policy's parsed form, for those who look into it. Parsing costs about as much as validating, and several look.
import { type PolicyJson, policyToJson } from './cedar.js'
import type { Policy } from './policy.js'

const parsed = new WeakMap<Policy, PolicyJson>()

/** Of a policy that loaded; null never happens but for a Cedar that changed its mind. */
export function jsonOf(policy: Policy): PolicyJson | null {
  const known = parsed.get(policy)
  if (known !== undefined) return known
  const answer = policyToJson(policy.text)
  if (answer.type === 'failure') return null
  parsed.set(policy, answer.json)
  return answer.json
}
