// Who may approve what: operators whom a policy permits `operate.approve` on the resource, in a group that the offer names, and
// never the human behind the request. Judged at the vote, and again when the approval is used.
import type { Principal } from '../identity/principal.js'
import {
  type Agreement,
  type Approval,
  type ApprovalVote,
  foldPerson,
  isQuorate,
  personKey,
} from '../ledger/approval.js'
import type { Parts } from './parts.js'

type Voter = Pick<ApprovalVote, 'by' | 'person' | 'issuer' | 'subject' | 'attributes'>

/** Whether a policy permits `operate.approve` on what is asked for, or on the Broker, which covers all. */
export function permitsApproving(parts: Parts, operator: Principal, { record }: Approval): boolean {
  const { policy, catalogue } = parts.rules()
  const { action, access, resource: named } = record.bound
  if (policy.permitsOperator(operator, 'operate.approve', 'broker', {}).permit) return true
  const resource = catalogue.findResource(named.id)
  return (
    resource !== undefined && policy.permitsOperator(operator, 'operate.approve', resource, { action, access }).permit
  )
}

/** The groups among those asked for that somebody is in now. */
export function groupsAmong(parts: Parts, { record }: Approval, voter: Voter): string[] {
  const groups = parts.rules().policy.groupsOf({ ...voter, id: voter.by })
  return record.bound.requirements.flatMap(({ group }) => (groups.includes(group) ? [group] : []))
}

/** Whether the operator is a human behind the request, as far as the issuers of both name one. */
export const isOwnHuman = ({ record }: Approval, operator: Pick<Voter, 'person'>): boolean =>
  operator.person !== null && record.persons.map(foldPerson).includes(foldPerson(operator.person))

/** Those whose approving votes count now, by recorded attributes, current issuers, groups and policies. */
export function agreementsOf(parts: Parts, approval: Approval, votes: readonly ApprovalVote[]): Agreement[] {
  return votes.flatMap((vote): Agreement[] => {
    if (vote.vote !== 'approve' || isOwnHuman(approval, vote)) return []
    // Somebody whose issuer no longer vouches for them could not vote now: their earlier vote does not count.
    if (parts.rules().requirements.findUnmetOperator(vote) !== null) return []
    if (!permitsApproving(parts, asPrincipal(vote), approval)) return []
    return [{ by: vote.by, key: personKey(vote), groups: groupsAmong(parts, approval, vote) }]
  })
}

/** Whether enough different people agree, as the rules are now. */
export const isAgreed = (parts: Parts, approval: Approval, votes = approval.votes): boolean =>
  isQuorate(approval.record.bound.requirements, agreementsOf(parts, approval, votes))

function asPrincipal(voter: Voter): Principal {
  return {
    id: voter.by,
    issuer: voter.issuer,
    subject: voter.subject,
    use: 'operator',
    attributes: voter.attributes,
    account: voter.by,
    instance: null,
    sessionSeconds: 0,
    binding: 'none',
    person: voter.person,
    tokenSha256: '',
    tokenExpiresAt: 0,
  }
}
