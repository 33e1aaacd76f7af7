// The policy sets that records name, found by hash beside the audit and made to decide again.
import { createPolicyEngine, type PolicyEngine } from '../policy/engine.js'
import { createGroups } from '../policy/groups.js'
import { findKeptSet } from '../policy/kept-sets.js'
import { asTakenThen, PolicySetError, parsePolicySet } from '../policy/policy-set.js'

export type KeptEngine =
  | { readonly outcome: 'found'; readonly engine: Pick<PolicyEngine, 'decideAs'> }
  | { readonly outcome: 'missing' | 'altered' }
  /** Kept whole, and yet no set to this version. */
  | { readonly outcome: 'unreadable'; readonly why: string }

// Decisions come in order of time, so few sets are in use at once; a set of ten thousand policies is tens of megabytes.
const enginesHeld = 4

export class KeptEngines {
  readonly #folders: readonly string[]
  readonly #known = new Map<string, KeptEngine>()

  /** `folders`: audit directories, or chains' folders in them. */
  constructor(folders: readonly string[]) {
    this.#folders = folders
  }

  /** Throws the file system's error. */
  async engineOf(hash: string): Promise<KeptEngine> {
    const known = this.#known.get(hash)
    if (known !== undefined) return known
    const made = await this.#make(hash)
    const [oldest] = this.#known.keys()
    if (this.#known.size >= enginesHeld && oldest !== undefined) this.#known.delete(oldest)
    this.#known.set(hash, made)
    return made
  }

  async #make(hash: string): Promise<KeptEngine> {
    const kept = await findKeptSet(this.#folders, hash)
    if (kept.outcome !== 'found') return kept
    try {
      const policySet = await parsePolicySet(kept.files, asTakenThen)
      // Groups and access classes come with each record, so this engine is given none.
      return { outcome: 'found', engine: createPolicyEngine({ policySet, grants: {}, groups: createGroups({}) }) }
    } catch (error) {
      if (error instanceof PolicySetError) return { outcome: 'unreadable', why: error.message }
      throw error
    }
  }
}
