// An approval in words: for the person who answers, and for whoever waits.
import type { Approval } from '../client/index.js'
import { foldText, formatMembers, formatTable, withoutControls } from './output.js'

/** `2 of dba`, or `1 of dba and 1 of release-managers`. */
export function describeNeeds({ requirements, needed, group }: Approval): string {
  const all = requirements.length === 0 ? [{ group, needed }] : requirements
  return all.map((one) => `${one.needed} of ${one.group}`).join(' and ')
}

/** `1/2`: those who agreed, of those who have to. */
export function countVotes({ votes, requirements, needed }: Approval): string {
  const all = requirements.reduce((sum, one) => sum + one.needed, 0)
  return `${votes.filter(({ vote }) => vote === 'approve').length}/${all || needed}`
}

/** What is left until `expires_at` by the clock of this machine: `14:32`, `1:02:03`, never below `0:00`. */
export function describeTimeLeft(expiresAt: string, now: number): string {
  const seconds = Math.max(0, Math.ceil((Date.parse(expiresAt) - now) / 1000))
  const two = (n: number) => String(n).padStart(2, '0')
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`
}

/** The list of `hallpass approvals`. */
export function formatApprovals(approvals: readonly Approval[], now: number): string {
  if (approvals.length === 0) return 'no approvals'
  const rows = approvals.map((one) => [
    one.id,
    one.state,
    one.action,
    one.resource,
    `${one.ttl_seconds}s`,
    one.principal,
    describeNeeds(one),
    countVotes(one),
    one.state === 'pending' || one.state === 'approved' ? describeTimeLeft(one.expires_at, now) : '-',
    one.flags.join(' ') || '-',
  ])
  const heading = ['APPROVAL', 'STATE', 'ACTION', 'RESOURCE', 'FOR', 'BY', 'NEEDS', 'VOTES', 'LEFT', 'FLAGS']
  return formatTable([heading, ...rows])
}

/** Everything that an answer binds, then what nobody has checked, then who has answered. */
export function formatApproval(approval: Approval, now: number): string {
  const {
    context,
    resource_attributes,
    votes,
    requirements: _,
    flags,
    chain: _ids,
    actors,
    persons,
    purpose_unverified,
    ...rest
  } = approval
  const members = formatMembers({
    ...rest,
    needs: describeNeeds(approval),
    left: approval.state === 'pending' ? describeTimeLeft(approval.expires_at, now) : null,
    chain: actors.map(describeActor).join(' < '),
    persons: persons.join(' ') || null,
    ...prefixed('context', context),
    ...prefixed('resource', resource_attributes),
    flags: flags.join(' ') || null,
    // Told apart from what was verified: an approver must not take the requester's word for it.
    'purpose (unverified)': purpose_unverified,
  })
  const answers = votes.flatMap(({ vote, by, person, at, reason }) => [
    withoutControls(`${vote}  ${person ?? by}  ${at}`),
    `          ${foldText(withoutControls(reason), 10)}`,
  ])
  return answers.length === 0 ? members : `${members}\n\n${['VOTE  BY  AT', ...answers].join('\n')}`
}

/** `dev:developer (agent reviewer) in task_…` */
function describeActor({ task, principal, agent }: Approval['actors'][number]): string {
  return `${principal}${agent === undefined ? '' : ` (agent ${agent})`} in ${task}`
}

function prefixed(prefix: string, members: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(members).map(([name, value]) => [
      `${prefix}.${name}`,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )
}
