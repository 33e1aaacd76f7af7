// `policy check`: policies that can never apply to anything of this configuration, and names in conditions that nothing has.
// Cedar's validator knows types; whether anybody is in a group, or anything has that value, only the configuration does.
import type { PolicyJson } from './cedar.js'
import { testsOf } from './conditions.js'
import { literalsIn, literalsOf } from './literals.js'
import type { Policy } from './policy.js'
import { jsonOf } from './policy-json.js'
import { conjunctsOf } from './policy-parts.js'
import type { PolicyProblem, PolicySet } from './policy-set.js'
import type { Doubt, ReachFacts } from './reach-facts.js'
import { resourceDoubts } from './reach-resources.js'
import { operateActions } from './schema.js'

/** Warnings in the order of the set. */
export function checkReach(set: PolicySet, facts: ReachFacts): PolicyProblem[] {
  return set.policies.flatMap((policy) => {
    const json = jsonOf(policy)
    if (json === null) return []
    const scope = policy.effect === 'permit' ? scopeDoubts(policy, json, facts) : []
    return [...scope, ...nameDoubts(policy, json, facts)].map((doubt) => problemAt(policy, doubt))
  })
}

function scopeDoubts(policy: Policy, json: PolicyJson, facts: ReachFacts): Doubt[] {
  const grants = grantsOf(policy, facts)
  const operates = operateActions.filter((action) => policy.actions === null || policy.actions.includes(action))
  if (grants.length === 0 && operates.length === 0) {
    const names = (policy.actions ?? []).join(', ')
    return [{ near: 'action', message: `permits nothing: no grant has the access ${names}` }]
  }
  return [
    ...principalDoubts(policy, json, facts, { grants: grants.length > 0, operates: operates.length > 0 }),
    ...resourceDoubts(json, grants, facts),
    ...contradictions(json),
  ]
}

export function grantsOf({ actions }: Policy, { grants }: ReachFacts): ReachFacts['grants'] {
  return grants.filter(({ action, access }) => actions === null || actions.includes(action) || actions.includes(access))
}

/** Who can reach it at all: by the scope, by `principal in` in its conditions, by the attributes that have to be there. */
function principalDoubts(
  policy: Policy,
  json: PolicyJson,
  facts: ReachFacts,
  reached: { grants: boolean; operates: boolean },
): Doubt[] {
  const tests = testsOf(json)
  const uses = [...(reached.grants ? ['workload'] : []), ...(reached.operates ? ['operator'] : [])]
  const [, type = '', quoted = '""'] = /^(\w+)::(".*")$/s.exec(policy.principalKey) ?? []
  const named = type === '' ? [] : [{ type, ids: [String(JSON.parse(quoted))] }]
  let issuers = [...facts.issuers].filter(([, { use }]) => uses.includes(use)).map(([name]) => name)
  for (const { type: kind, ids } of [...named, ...tests.within]) {
    const within = ids.flatMap((id) => issuersOf(kind, id, facts))
    issuers = issuers.filter((name) => within.includes(name))
    if (issuers.length > 0) continue
    const who = ids.map((id) => `${kind}::${JSON.stringify(id)}`).join(' or ')
    const whom = uses.join(' or ')
    return [
      {
        near: JSON.stringify(ids[0]),
        message: `permits nobody: no ${whom} of the configuration is ${kind === 'Group' || kind === 'Issuer' ? 'in ' : ''}${who}`,
      },
    ]
  }
  const wanted = [...new Set([...tests.has, ...tests.equal.keys()])].filter((name) => !ownAttributes.has(name))
  const gives = (name: string, attribute: string) => facts.issuers.get(name)?.attributes.has(attribute)
  if (wanted.length === 0 || issuers.some((name) => wanted.every((attribute) => gives(name, attribute)))) return []
  const lacking = wanted.find((attribute) => !issuers.some((name) => gives(name, attribute))) ?? wanted[0] ?? ''
  const message = `permits nobody: ${issuers.map((name) => `issuer "${name}"`).join(', ')} gives no principal.${lacking}`
  return [
    {
      near: lacking,
      message:
        issuers.length > 1 && gives(issuers[0] ?? '', lacking)
          ? `permits nobody: no issuer that it reaches gives all of ${wanted.join(', ')}`
          : message,
    },
  ]
}

const ownAttributes = new Set(['issuer', 'subject', 'account'])

function issuersOf(type: string, id: string, facts: ReachFacts): readonly string[] {
  if (type === 'Group') return facts.groups.get(id) ?? []
  return type === 'Issuer' ? [id] : [id.slice(0, Math.max(id.indexOf(':'), 0))]
}

/** `principal.ref == "a" && principal.ref == "b"`. */
function contradictions(json: PolicyJson): Doubt[] {
  const seen = new Map<string, readonly unknown[]>()
  for (const body of conjunctsOf(json)) {
    const isEqual = Object.hasOwn(body, '==')
    const [literal] = isEqual ? literalsIn(body) : []
    if (literal === undefined) continue
    const before = seen.get(literal.path)
    const together = before?.filter((value) =>
      literal.values.some((one) => JSON.stringify(one) === JSON.stringify(value)),
    )
    if (together?.length === 0) {
      const near = literal.path.split('.').at(-1) ?? ''
      return [{ near, message: `permits nothing: ${literal.path} cannot be two values at once` }]
    }
    seen.set(literal.path, literal.values)
  }
  return []
}

const accesses = ['read', 'write', 'deploy', 'admin']

/** Names that no request ever carries: a forbid that waits for one never forbids. */
function nameDoubts(policy: Policy, json: PolicyJson, facts: ReachFacts): Doubt[] {
  const actions = new Set(facts.grants.map(({ action }) => action))
  return literalsOf(json).flatMap(({ path, values }): Doubt[] => {
    const list = /^context\.(session|account)\.(holding|granted)(_access|_resources)?$/.exec(path)
    const known = (value: unknown): boolean => {
      const text = String(value)
      if (list !== null) {
        if (list[3] === undefined) return actions.has(text)
        return list[3] === '_access' ? accesses.includes(text) : facts.findResource(text) !== undefined
      }
      if (path === 'context.binding') return ['none', 'dpop', 'mtls'].includes(text)
      return isDeclarable(path, value, grantsOf(policy, facts))
    }
    return values
      .filter((value) => typeof value !== 'object' && !known(value))
      .map((value) => ({
        near: JSON.stringify(value),
        message: `${path} is never ${JSON.stringify(value)}: nothing of the configuration is called so`,
      }))
  })
}

/** Whether some grant that the policy is about takes this value for the field. */
function isDeclarable(path: string, value: unknown, grants: ReachFacts['grants']): boolean {
  const [, field] = /^context\.declared\.([a-z0-9_]+)$/.exec(path) ?? []
  if (field === undefined) return true
  const lists = grants.flatMap(({ declared }) => (declared.has(field) ? [declared.get(field) ?? null] : []))
  return lists.length === 0 || lists.some((list) => list === null || list.includes(value))
}

function problemAt(policy: Policy, { near, message }: Doubt): PolicyProblem {
  const at = near === '' ? -1 : policy.text.indexOf(near)
  const line = policy.line + (at < 0 ? 0 : policy.text.slice(0, at).split('\n').length - 1)
  return { file: policy.file, line, column: 1, message: `${policy.id} ${message}` }
}
