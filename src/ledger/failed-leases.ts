// What operators do about revocations that failed: have them tried again, or close them.
import type { FailedAnswer } from './ledger.js'
import type { RunScript } from './scripts.js'

export function createFailedLeases(run: RunScript, channel: string) {
  const answerOf = (reply: unknown): FailedAnswer => {
    const [outcome, state] = reply as ['ok' | 'state', string]
    return outcome === 'ok' ? { outcome } : { outcome, state: state === '' ? null : state }
  }
  return {
    retryLease: async (lease: string): Promise<FailedAnswer> => answerOf(await run('retry-lease', lease)),
    abandonLease: async (lease: string, actor: string): Promise<FailedAnswer> =>
      answerOf(await run('abandon-lease', lease, actor, channel)),
  }
}
