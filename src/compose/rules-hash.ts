// The name of a whole set of rules: everything that a decision rests on, and nothing that differs from host to host.
import type { Settings } from '../config/schema.js'
import { canonicalJson, type Json } from '../core/canonical-json.js'
import { sha256Hex } from '../core/hash.js'

/** SHA-256 of the canonical JSON of policies, groups, resources, grants, limits, and what issuers require and map. */
export function hashRules(settings: Settings, policySet: string): string {
  const { groups, resources, grants, limits, issuers } = settings
  const rules = { policySet, groups, resources, grants, limits, issuers: Object.entries(issuers).map(issuerFacts) }
  return sha256Hex(canonicalJson(plain(rules)))
}

/** Not its keys: where they lie may differ from host to host, and who has a token was verified when it came. */
function issuerFacts([name, entry]: [string, Settings['issuers'][string]]) {
  const { use, account, instance, bind } = entry
  const facts = { name, use, account, instance, bind }
  if (entry.type === 'spiffe') return { ...facts, trust_domain: entry.trust_domain, paths: entry.paths }
  return { ...facts, issuer: entry.issuer, preset: entry.preset, require: entry.require, attributes: entry.attributes }
}

/** As JSON has it; a pattern by its text, which JSON has no form for. */
function plain(value: unknown): Json {
  const text = JSON.stringify(value, (_, one: unknown) => (one instanceof RegExp ? String(one) : one))
  return JSON.parse(text) as Json
}
