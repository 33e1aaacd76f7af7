// Notices: what somebody outside is to be told. They lie in the ledger until they are delivered, so that whoever wrote one may
// die. They hold no secret, and nothing depends on them: a Redis that is lost takes them along.

export interface DueNotice {
  readonly id: string
  /** What is sent, as text. */
  readonly body: string
  /** This try included. */
  readonly tries: number
}

export interface NoticeState {
  readonly waiting: number
  /** Why the last try failed, and when (epoch milliseconds); null when it did not. */
  readonly trouble: { readonly error: string; readonly at: number } | null
}

export interface NoticeStore {
  /** `again`: it waits already, or was sent within two days. `full`: too many wait. */
  addNotice(notice: { id: string; body: string }): Promise<'ok' | 'again' | 'full'>
  /** Hands out what is due, each to nobody else for `claimMs`. */
  takeDueNotices(limit: number, claimMs: number): Promise<DueNotice[]>
  noticeDelivered(id: string): Promise<void>
  /** `retryMs`: when to try again, null: never. */
  noticeFailed(id: string, error: string, retryMs: number | null): Promise<void>
  noticeState(): Promise<NoticeState>
}
