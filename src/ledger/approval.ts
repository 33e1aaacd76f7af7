// An approval: people's answer to one exact request. What is asked never changes; answers are added, and it ends once.
import type { AttributeValue } from '../identity/principal.js'
import type { Access, Resource } from '../policy/decision.js'

/** pending → approved → used, or → denied (by one), or → expired (time, or its task ended). */
export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'used'

/** What became of an approval, for whoever is told beside the audit. */
export type ApprovalNews = 'requested' | 'answered' | 'expired' | 'used'

/** One group that has to agree, and how many different people of it. */
export interface Requirement {
  readonly group: string
  readonly count: number
}

/** What an approval binds: of the repeated request every member must be the same. */
export interface Bound {
  readonly task: string
  readonly instance: string | null
  /** Task ids from its own up to the root. */
  readonly chain: readonly string[]
  readonly principal: string
  readonly action: string
  readonly access: Access
  readonly resource: Resource
  readonly declared: Readonly<Record<string, string | number | boolean>>
  readonly provider: string
  /** SHA-256 of the filled recipe's canonical JSON. */
  readonly recipeSha256: string
  /** As asked, bounded by grant and limits. */
  readonly requestedTtlSeconds: number
  /** What the offer and the grant allow of it. */
  readonly ttlSeconds: number
  /** The `@id` of the permit whose offer it is. */
  readonly policy: string
  readonly requirements: readonly Requirement[]
  /** The humans behind the requester and everybody above in the chain, where issuers name them; absent: nobody is named. */
  readonly persons?: readonly string[]
}

export interface Actor {
  readonly task: string
  readonly principal: string
  /** The sub-agent that works on it under its parent's identity. */
  readonly agent?: string
}

export interface ApprovalRecord {
  readonly bound: Bound
  /** SHA-256 of its canonical JSON. */
  readonly boundSha256: string
  readonly account: string
  /** Those humans once more, or none: they must not approve it. */
  readonly persons: readonly string[]
  /** Whose tasks the chain is, from its own up to the root, for people to read: a chain of ids tells them nothing. */
  readonly actors?: readonly Actor[]
  /** Free text, already without what could deceive a reader. */
  readonly purpose: string
  readonly escalation: boolean
  readonly decision: string
  readonly request: string
}

export interface ApprovalVote {
  /** The operator's principal id. */
  readonly by: string
  readonly person: string | null
  readonly issuer: string
  readonly subject: string
  /** As they were verified at the vote: by these it is judged again at issue. */
  readonly attributes: Readonly<Record<string, AttributeValue>>
  readonly vote: 'approve' | 'deny'
  readonly reason: string
  /** Epoch milliseconds. */
  readonly at: number
}

export interface Approval {
  readonly id: string
  readonly record: ApprovalRecord
  /** As it was last written; one whose time is up may still say otherwise: see `stateAt`. */
  readonly state: ApprovalState
  readonly votes: readonly ApprovalVote[]
  /** How often it was answered: a new answer must have seen all before it. */
  readonly answers: string
  readonly requestedAt: number
  /** Absolute, for answers and for use alike. */
  readonly expiresAt: number
  readonly endReason: string | null
  readonly lease: string | null
  /** Approvals that the account had asked for within the hour, this one included. */
  readonly recentRequests: number
  /** The account was denied the same action on the same resource within a day before. */
  readonly deniedBefore: boolean
}

/** The state that counts at `now`: time is up for everybody at once, whoever notes it first. */
export function stateAt(approval: Pick<Approval, 'state' | 'expiresAt'>, now: number): ApprovalState {
  const isOpen = approval.state === 'pending' || approval.state === 'approved'
  return isOpen && approval.expiresAt <= now ? 'expired' : approval.state
}

/** As whom somebody is counted: the same human at two issuers is one. */
export function personKey({ by, person }: Pick<ApprovalVote, 'by' | 'person'>): string {
  return person === null ? `id:${by}` : `person:${foldPerson(person)}`
}

/**
 * A person's name as it is compared: issuers write the same e-mail with capitals or without. Two who were one by this would at
 * worst have to find a third.
 */
export const foldPerson = (person: string): string => person.normalize('NFKC').toLowerCase().normalize('NFKC')

/** One who agreed, and the groups that they are in now. */
export interface Agreement {
  /** The operator's principal id. */
  readonly by: string
  readonly key: string
  readonly groups: readonly string[]
}

/**
 * Whether enough different people agreed. Where several groups have to, nobody is counted for two of them: so each seat is
 * given to a person of its group, moving others to another seat of theirs where that makes room (augmenting paths).
 */
export function isQuorate(requirements: readonly Requirement[], agreements: readonly Agreement[]): boolean {
  const people = [...new Map(agreements.map((one) => [one.key, one])).values()]
  const seats = requirements.flatMap(({ group, count }) => Array.from({ length: count }, () => group))
  const seatOf = new Map<string, number>()
  const seatSomebody = (seat: number, tried: Set<string>): boolean =>
    people.some(({ key, groups }) => {
      if (tried.has(key) || !groups.includes(seats[seat] ?? '')) return false
      tried.add(key)
      const held = seatOf.get(key)
      if (held !== undefined && !seatSomebody(held, tried)) return false
      seatOf.set(key, seat)
      return true
    })
  return seats.every((_group, seat) => seatSomebody(seat, new Set()))
}
