// Parsed policy sets inside Cedar. Its cache is keyed by name, lives as long as the thread and cannot free, so names come
// from a bounded pool and are written over: the policies of sets long gone do not pile up with every reload.
import { preparsePolicySet } from './cedar.js'

const maxSlices = 16_384
/** Parsed policies over all slices: what bounds the memory. */
const maxPolicies = 60_000

interface Slot {
  readonly name: string
  readonly policies: number
}

const slots = new Map<string, Slot>()
const freeNames: string[] = []
let namesMade = 0
let policiesHeld = 0

/**
 * The name under which Cedar holds this slice, parsed now if it is not yet. `key` says which slice of which set it is;
 * the least recently used ones give way. Throws when Cedar does not take the policies.
 */
export function acquireSlice(key: string, policies: readonly { id: string; text: string }[]): string {
  const known = slots.get(key)
  if (known !== undefined) {
    // Map keeps insertion order, so taking it out and in again makes it the youngest.
    slots.delete(key)
    slots.set(key, known)
    return known.name
  }
  makeRoom(policies.length)
  const name = freeNames.pop() ?? `slice-${namesMade++}`
  const staticPolicies = Object.fromEntries(policies.map(({ id, text }) => [id, text]))
  const answer = preparsePolicySet(name, { staticPolicies })
  if (answer.type === 'failure') {
    freeNames.push(name)
    throw new Error(`a validated slice was not taken: ${answer.errors.map((error) => error.message).join('; ')}`)
  }
  slots.set(key, { name, policies: policies.length })
  policiesHeld += policies.length
  return name
}

function makeRoom(coming: number): void {
  for (const [key, slot] of slots) {
    if (slots.size < maxSlices && policiesHeld + coming <= maxPolicies) return
    slots.delete(key)
    policiesHeld -= slot.policies
    freeNames.push(slot.name)
    preparsePolicySet(slot.name, { staticPolicies: {} })
  }
}
