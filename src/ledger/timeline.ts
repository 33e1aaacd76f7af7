// A bounded copy of what the audit says, for whoever asks a broker: never the truth, which are the files.

/** One audit record, shortened, as canonical text. */
export interface MirroredRecord {
  readonly task: string | null
  /** claimed: what a caller says of itself, bounded apart so that it never pushes out what we did. orders: operators'. */
  readonly kind: 'records' | 'claimed' | 'orders'
  readonly text: string
}

export interface TaskTimeline {
  /** Oldest first. */
  readonly records: readonly string[]
  readonly claimed: readonly string[]
  /** Every record of ours since the task was opened is there, as far as this ledger knows. */
  readonly complete: boolean
}

export interface RecentPage {
  /** Newest first. */
  readonly records: readonly string[]
  /** The place of the first of them, counted from the first record ever. */
  readonly from: number
  /** Where the next page begins; null at the window's end. */
  readonly next: number | null
}

export const timelineBounds = {
  perTask: 500,
  claimedPerTask: 200,
  recent: 5000,
  recentClaimed: 1000,
  orders: 500,
  bytes: 2000,
} as const

export type CountEventsAnswer =
  | { readonly outcome: 'ok'; readonly left: number }
  /** `first`: nobody was told of this task's limit before. */
  | { readonly outcome: 'quota'; readonly left: number; readonly first: boolean }
  | { readonly outcome: 'closed' }
  | { readonly outcome: 'not_found' }

/** Every method may throw BrokerError `ledger_unavailable`. */
export interface TimelineStore {
  /** Counts so many events against the task's limit, all or none. */
  countEvents(task: string, events: number, limit: number): Promise<CountEventsAnswer>
  /** They were counted and could not be written. */
  giveBackEvents(task: string, events: number): Promise<void>
  /** Keeps digests of what was issued in a task, to know the values again. They end with the task. */
  noteSecrets(task: string, digests: readonly string[]): Promise<void>
  /** Those of the digests that were noted for one of the tasks. */
  findSecrets(tasks: readonly string[], digests: () => readonly string[]): Promise<ReadonlySet<string>>
  /** `gaps`: tasks of which records could not be copied. */
  noteRecords(records: readonly MirroredRecord[], gaps: readonly string[]): Promise<void>
  readTimeline(task: string): Promise<TaskTimeline>
  childrenOf(task: string): Promise<string[]>
  /** A page of the newest records of all programs on this ledger. `from`: a page's `next`. */
  readRecent(kind: 'records' | 'claimed', from: number | null, limit: number): Promise<RecentPage>
  oldestRecent(): Promise<string | null>
  /** The newest orders of operators, oldest first: they name a target, not a task. */
  recentOrders(): Promise<string[]>
}
