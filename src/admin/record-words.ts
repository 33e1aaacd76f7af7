// What each audit event is called when people read it. An event that stands in no row is told by its members, so that a reader
// of an older version hides nothing.
import type { AuditEntry } from '../api/audit.js'

type Told = Readonly<Record<string, unknown>>

const text = (value: unknown): string => {
  if (typeof value === 'string') return value
  if (value === undefined || value === null) return '-'
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
const told = (value: unknown): Told =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Told) : {}
const list = (value: unknown): string =>
  Array.isArray(value) && value.length > 0 ? value.map(text).join(', ') : 'none'
const quoted = (value: unknown) => (typeof value === 'string' && value !== '' ? ` "${value}"` : '')
const by = ({ actor }: Told) => (actor === undefined ? '' : ` by ${text(actor)}`)
const given = (label: string, value: unknown) =>
  value === undefined || value === null ? '' : `, ${label} ${text(value)}`

/** `{task: "task_…"}` → `task task_…`. */
function targetOf(value: unknown): string {
  const { where, ...target } = told(value)
  const named = Object.entries(typeof where === 'object' ? told(where) : target)
  return named.map(([name, one]) => (one === true ? name : `${name} ${text(one)}`)).join(', ') || '-'
}

/** What was asked, wherever the record keeps it: whole in a file, picked out in a broker's copy. */
function askedIn(entry: Told): { action: string; resource: string } {
  const { action, resource, input } = told(entry.decision)
  const asked = told(input)
  const kept = told(entry.record)
  const named = told(asked.resource).id ?? resource ?? kept.resource ?? entry.resource
  return { action: text(asked.action ?? action ?? kept.action ?? entry.action), resource: text(named) }
}

const asked = (entry: Told) => {
  const { action, resource } = askedIn(entry)
  return `${action} on ${resource}`
}

function decided(entry: Told): string {
  const { id, policies, reason, policySet, policy_set } = told(entry.decision)
  const set = policySet ?? policy_set
  const why = reason === undefined ? '' : ` (${text(reason)})`
  return `${why}; policies: ${list(policies)}${given('decision', id)}${typeof set === 'string' ? `, set ${set.slice(0, 12)}` : ''}`
}

function receiptOf(entry: Told): string {
  const { outcome, evidence } = told(entry.receipt)
  return `receipt ${text(outcome)}, evidence ${text(evidence)}`
}

const toolDetail = (detail: unknown) =>
  detail === undefined ? '' : `: ${typeof detail === 'string' ? detail.replace(/\s+/g, ' ') : text(detail)}`

const words: Readonly<Record<string, (entry: Told) => string>> = {
  'task.opened': (e) =>
    `OPENED ${text(e.task)} by ${text(e.principal)}, until ${text(e.expires_at)}${given('under', e.parent)}${given('by', e.delegation)}:${quoted(e.purpose)}`,
  'task.ended': (e) => `ENDED ${text(e.task)}: ${text(e.outcome)}${by(e)}`,
  'decision.denied': (e) => `DENIED ${asked(e)}${decided(e)}`,
  'decision.approval_required': (e) => `approval wanting: ${asked(e)}${decided(e)}`,
  'approval.requested': (e) => `APPROVAL ASKED ${text(e.approval)}: ${asked(e)}${decided(e)}`,
  'approval.answered': (e) =>
    `approval ${text(e.approval)}: ${text(e.vote ?? e.answer)}${by(e)}${quoted(e.reason)}, now ${text(e.state)}`,
  'approval.expired': (e) => `approval ${text(e.approval)} expired: ${text(e.reason)}`,
  'approval.used': (e) => `approval ${text(e.approval)} used for ${text(e.lease)}; approved by ${list(e.approvers)}`,
  'delegation.created': (e) =>
    `delegated ${text(e.delegation)} to ${delegateOf(e.delegate)}, until ${text(e.expires_at)}: ${ceilingOf(e.ceiling)}`,
  'delegation.used': (e) => `delegation ${text(e.delegation)} used by ${text(e.principal)}${given('opening', e.child)}`,
  'lease.reserved': (e) => `PERMITTED ${asked(e)}, ${text(e.lease)} reserved${given('until', e.deadline)}${decided(e)}`,
  'lease.issued': (e) =>
    `ISSUED ${text(e.lease)} by ${text(e.provider)}, reference ${text(e.provider_ref)}, until ${text(e.deadline)}`,
  'lease.shown': (e) => `shown ${text(e.lease)}`,
  'lease.redecided': (e) =>
    `decided again ${text(e.lease)} by changed rules ${shortHash(e.rules)}: ${text(e.reason)}${judgedAs(e)}${decided({ decision: { policies: e.policies, ...told(e.decision), reason: undefined } })}`,
  'lease.ending': (e) => `to end ${text(e.lease)}: ${text(e.reason)}${by(e)}`,
  'lease.ended': (e) => `DEAD ${text(e.lease)}: ${text(e.state)} (${text(e.end_reason)}${by(e)}); ${receiptOf(e)}`,
  'lease.revocation_failed': (e) => `NOT REVOKED ${text(e.lease)} after ${text(e.attempts)} attempts; ${receiptOf(e)}`,
  'lease.retry_ordered': (e) => `ORDER retry ${text(e.lease)}${by(e)}${quoted(e.reason)}`,
  'lease.abandon_ordered': (e) => `ORDER abandon ${text(e.lease)}${by(e)}${quoted(e.reason)}`,
  'tool.called': (e) =>
    `claimed: ${text(e.tool)} → ${text(e.outcome)}${e.action === undefined ? '' : ` (${text(e.action)} on ${text(e.resource)})`}${toolDetail(e.detail)}`,
  'request.refused': (e) => `refused ${text(e.code)}${given('of', e.principal)}${quoted(e.detail ?? e.reason)}`,
  'operator.refused': (e) => `operator refused ${text(e.actor ?? e.principal)}: ${text(e.action ?? e.code)}`,
  'revocation.ordered': (e) =>
    `ORDER ${text(e.revocation)}: revoke ${targetOf(e.target)}${by(e)}${quoted(e.reason)}, matched ${text(e.matched)}`,
  'lock.set': (e) =>
    `LOCKED ${targetOf(e.target)}${by(e)}${quoted(e.reason)}${given('until', e.expires_at)} (${text(e.lock)})`,
  'lock.removed': (e) =>
    `unlocked ${targetOf(e.target)}${e.expired === true ? ': its time was up' : by(e)} (${text(e.lock)})`,
  'orphan.found': (e) => `orphan of ${text(e.lease)} at ${text(e.provider)}: ${text(e.outcome)}`,
  'rules.loaded': (e) => `rules loaded: policy set ${text(e.policy_set)}`,
  'rules.refused': (e) => `rules REFUSED, the last good ones stay: ${text(e.detail)}`,
  'rules.redecided': (e) =>
    `rules ${shortHash(e.rules)}: ${text(e.live)} live leases decided again, ${text(e.ended)} told to end`,
  'rules.change_waits': (e) =>
    `rules ${shortHash(e.rules)} WAIT for a word: ${text(e.doomed)} of ${text(e.live)} live leases would end, ${text(e.most)} may without${given('ended just before', e.ended_lately)}`,
  'rules.change_applied': (e) =>
    `ORDER apply rules ${shortHash(e.rules)}${by(e)}${quoted(e.reason)}: ${text(e.doomed)} of ${text(e.live)} live leases`,
}

const shortHash = (hash: unknown) => text(hash).slice(0, 12)

/** Whose place in the chain it was refused at, where that is not the lease's own principal. */
const judgedAs = ({ judged, principal }: Told) => (judged === principal ? '' : given('judged as', judged))

function ceilingOf(ceiling: unknown): string {
  if (!Array.isArray(ceiling)) return '-'
  const pairs: unknown[][] = ceiling.filter(Array.isArray)
  return pairs.map(([action, resource]) => `${text(action)} on ${text(resource)}`).join(', ') || '-'
}

/** `{issuer, subject, instance}` → `ci:repo:acme/tools`; a sub-agent without an identity of its own by the name it was given. */
function delegateOf(delegate: unknown): string {
  const { agent, issuer, subject, instance } = told(delegate)
  if (agent !== undefined) return `agent ${text(agent)}`
  return `${text(issuer)}:${text(subject)}${given('instance', instance)}`
}

/** Of every record; they say where and when, not what. */
const common: readonly string[] = [
  'event',
  'time',
  'seq',
  'instance',
  'prev',
  'task',
  'request_id',
  'account',
  'claimed',
]

function generic(entry: Told): string {
  const members = Object.entries(entry).filter(([name, value]) => !common.includes(name) && value !== undefined)
  return [text(entry.event), ...members.map(([name, value]) => `${name}=${text(value)}`)].join(' ')
}

/** One line, without control or direction characters: names and purposes come from tokens and callers. */
export function wordsOf(entry: AuditEntry): string {
  const said = (words[entry.event] ?? generic)(entry)
  const clean = said.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?')
  return clean.length > 1000 ? `${clean.slice(0, 1000)}…` : clean
}
