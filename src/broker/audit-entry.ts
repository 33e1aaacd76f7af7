// An audit record as brokers show it: short enough to be copied to Redis, and without what is of use only to a rebuilt ledger.
import type { StoredRecord } from '../audit/read-records.js'
import { isClaimed } from '../audit/record.js'
import { canonicalJson, type Json } from '../core/canonical-json.js'
import { timelineBounds } from '../ledger/timeline.js'

type Members = { readonly [name: string]: Json | undefined }
type Entry = { [name: string]: Json | undefined }

/** Sealed handles are never copied; the others are large, or say nothing to a reader. */
const leftOut: readonly string[] = [
  ...['prev', 'sealed_handle', 'fingerprints', 'secret_digests', 'recipe', 'attributes', 'holders', 'token_sha256'],
  ...['idempotency', 'chain', 'issuer', 'mark', 'voter'],
]
const mostText = 500

/** The record's own members: texts, numbers, lists and flat objects of them, each bounded. */
export function auditEntryOf(record: StoredRecord): Entry {
  const entry: Entry = {}
  for (const [name, value] of Object.entries(record)) {
    if (leftOut.includes(name)) continue
    const short = name === 'decision' ? decisionOf(value) : name === 'record' ? recordOf(value) : shorten(value)
    if (short !== undefined) entry[name] = short
  }
  if (isClaimed(record)) entry.claimed = true
  return entry
}

/** As it is copied; whatever does not fit is reduced to who, what and when. */
export function auditEntryText(record: StoredRecord): string {
  const text = canonicalJson(auditEntryOf(record))
  if (Buffer.byteLength(text) <= timelineBounds.bytes) return text
  const { event, time, seq, instance, task, lease, request_id } = record
  const core: Entry = { event, time, seq, instance, task, lease, request_id, shortened: true }
  for (const name of ['principal', 'account', 'actor', 'code', 'reason', 'outcome', 'tool'] as const) {
    const value = record[name]
    if (typeof value === 'string') core[name] = value.slice(0, 120)
  }
  return canonicalJson(core)
}

function shorten(value: Json | undefined, depth = 0): Json | undefined {
  if (typeof value === 'string') return value.length > mostText ? `${value.slice(0, mostText)}…` : value
  if (typeof value !== 'object' || value === null) return value
  if (depth > 1) return undefined
  if (isList(value)) return value.slice(0, 20).map((item) => shorten(item, depth + 1) ?? null)
  const members = Object.entries(value).slice(0, 20)
  return Object.fromEntries(members.map(([name, member]) => [name, shorten(member, depth + 1)]))
}

const isList = (value: object): value is readonly Json[] => Array.isArray(value)
const membersOf = (value: Json | undefined): Members =>
  typeof value === 'object' && value !== null && !isList(value) ? value : {}

/** What was decided about what; the whole typed input stays in the file. */
function decisionOf(value: Json | undefined): Json {
  const { id, effect, policies, policySet, reason, ttl_seconds, offer, input } = membersOf(value)
  const { action, resource } = membersOf(input)
  const asked = { action, resource: membersOf(resource).id }
  return { id, effect, policies, policySet, reason, ttl_seconds, offer: shorten(offer), ...asked }
}

/** Of a lease's immutable record what its owner may know of it. */
function recordOf(value: Json | undefined): Json {
  const { action, access, resource, provider, follows, ttl } = membersOf(value)
  return { action, access, resource, provider, follows, ttl }
}
