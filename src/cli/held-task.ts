// What `exec` holds while its command runs: a task of its own, or leases in a task that is somebody else's. Whoever has
// one gives it back; that is the only way out.
import type { Outcome, Receipt } from '../client/index.js'
import type { HeldCredential } from './exec-environment.js'

export interface Borrowed {
  readonly taskId: string
  /** Null where a task was joined without its token. */
  readonly taskToken: string | null
  readonly credentials: readonly HeldCredential[]
  /** Idempotent; one receipt per lease. */
  giveBack(outcome: Outcome, waitSeconds: number): Promise<Receipt[]>
  /** Shows that the work goes on; absent where nobody expects it of us. */
  beat?(): Promise<unknown>
}
