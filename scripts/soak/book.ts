// What happened, written down by everybody who takes part: the table and the checks are made of it.

export interface Handed {
  readonly lease: string
  readonly action: string
  readonly secret: string
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

export interface Book {
  /** `<status> <code>` → how often; `none` where no answer came. */
  readonly answers: Map<string, number>
  /** Kind of fault → how often. */
  readonly faults: Map<string, number>
  readonly handed: Map<string, Handed>
  readonly tasks: Set<string>
  /** Lease → when a receipt said that its credential is dead, epoch milliseconds. */
  readonly confirmed: Map<string, number>
  /** What must not be, as soon as somebody saw it. */
  readonly wrong: { readonly check: Check; readonly what: string }[]
}

export const checks = {
  late: 'alive at the provider past deadline + 5 s',
  unknown: 'alive at the provider, unknown to the ledger',
  unlike: "the provider's list and the ledger's differ once all is calm",
  left: 'alive at the provider after everything was ended',
  claimed: 'alive at the provider after its end was confirmed',
  stuck: 'leases and tasks past their time and not ended',
  twice: 'credentials handed out or minted twice',
  audit: 'audit records lost or broken',
  clock: 'credentials issued by a broker whose clock is off',
  ended: 'programs that ended by themselves',
  broken: 'answers 500',
} as const
export type Check = keyof typeof checks

export const createBook = (): Book => ({
  answers: new Map(),
  faults: new Map(),
  handed: new Map(),
  tasks: new Set(),
  confirmed: new Map(),
  wrong: [],
})

export function countOne(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1)
}
