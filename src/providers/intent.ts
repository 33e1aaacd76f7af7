// What a credential is for, as it is written into it: so that the far side's own log says what was intended, without ours.
import { canonicalJson } from '../core/canonical-json.js'
import { sha256Hex } from '../core/hash.js'
import type { JsonObject, LeaseToIssue } from './provider.js'

type Intended = Pick<LeaseToIssue, 'action' | 'resource' | 'declared'>

/** A token goes along in headers, which are not endless. */
const mostDeclared = 1024

/** As a claim. Declared values that are too long stand there by the hash of their canonical JSON, which our audit has whole. */
export function intentOf({ action, resource, declared }: Intended): JsonObject {
  const text = canonicalJson({ ...declared })
  if (text === '{}') return { action, resource }
  if (text.length > mostDeclared) return { action, resource, declared_sha256: sha256Hex(text) }
  return { action, resource, declared: { ...declared } }
}

/** `change_type=schema ticket=OPS-17`: for far sides that take text alone; null where nothing was declared. */
export function declaredText({ declared }: Pick<LeaseToIssue, 'declared'>): string | null {
  const names = Object.keys(declared).sort()
  return names.length === 0 ? null : names.map((name) => `${name}=${String(declared[name])}`).join(' ')
}
