// The part of a policy set that one request can meet. Chosen by scope alone: a policy is left out only when its scope
// cannot match, so that the slice decides exactly as the whole set would.
import { joinCuts, type NumberCuts } from './number-cuts.js'
import type { Policy } from './policy.js'
import { acquireSlice } from './slice-pool.js'

export interface Slice {
  readonly policies: readonly Policy[]
  /** Every attribute name that any of them reads. */
  readonly attributes: ReadonlySet<string>
  /** Everything of the context that any of them reads, as PolicyUses has it. */
  readonly context: ReadonlySet<string>
  readonly wholeContext: boolean
  /** Between which values of the context's numbers all of them say the same. */
  readonly cuts: NumberCuts
  /** Cedar's name for it; parses it first where needed. */
  cedarName(): string
}

export interface SliceIndex {
  /** `actionKeys`: the action and its access class. `keys`: as `principalKeys` gives them. */
  find(actionKeys: readonly string[], keys: readonly string[]): Slice
  /** The principal keys that some policy on this action names. */
  keysOf(actionKeys: readonly string[]): readonly string[]
}

let indexesMade = 0

/** Finds the policies that can apply to a principal and an action, so that a decision does not grow with the set. */
export function createSliceIndex(policies: readonly Policy[]): SliceIndex {
  const owner = indexesMade++
  const byAction = new Map<string, Map<string, Policy[]>>()
  const slices = new Map<string, Slice>()

  const policiesOn = (actionKeys: readonly string[]): Map<string, Policy[]> => {
    const name = actionKeys.join(' ')
    const known = byAction.get(name)
    if (known !== undefined) return known
    const found = new Map<string, Policy[]>()
    for (const policy of policies) {
      if (policy.actions !== null && !policy.actions.some((action) => actionKeys.includes(action))) continue
      const sharing = found.get(policy.principalKey)
      if (sharing === undefined) found.set(policy.principalKey, [policy])
      else sharing.push(policy)
    }
    byAction.set(name, found)
    return found
  }

  return {
    keysOf: (actionKeys) => [...policiesOn(actionKeys).keys()],
    find(actionKeys, keys) {
      const onAction = policiesOn(actionKeys)
      // Only keys that some policy names tell slices apart, so their number is bounded by the set and not by callers.
      const present = keys.filter((key) => onAction.has(key)).sort()
      const name = [actionKeys.join(' '), ...present].join('\n')
      const known = slices.get(name)
      if (known !== undefined) return known
      const slice = createSlice(
        `${owner}\n${name}`,
        present.flatMap((key) => onAction.get(key) ?? []),
      )
      // Combinations of groups could still be many: forget all rather than keep a list of what was used last.
      if (slices.size >= 10_000) slices.clear()
      slices.set(name, slice)
      return slice
    },
  }
}

function createSlice(key: string, policies: readonly Policy[]): Slice {
  return {
    policies,
    attributes: new Set(policies.flatMap((policy) => [...policy.uses.attributes])),
    context: new Set(policies.flatMap((policy) => [...policy.uses.context])),
    wholeContext: policies.some((policy) => policy.uses.wholeContext),
    cuts: joinCuts(policies.map((policy) => policy.cuts)),
    cedarName: () => acquireSlice(key, policies),
  }
}
