// "No leases" of a ledger that lost its memory is no all-clear: whoever looks in an incident has to be told.
import { fetchReadinessProblems } from '../client/readiness.js'
import { brokerAddress, type CommandIo } from './connection.js'

/** For a command that found nothing: notes on stderr when the ledger may merely have lost it. `besides`: what else to know then. */
export async function noteLostLedger(io: CommandIo, besides = ''): Promise<void> {
  // Best effort: operators' own address need not serve /readyz, and what was asked is answered already.
  const problems: Record<string, string> = await fetchReadinessProblems(brokerAddress(io.environment)).catch(() => ({}))
  if (problems.rolled_back === undefined) return
  io.output.note(`hallpass: this is NOT all that was issued: ${problems.rolled_back}${besides}`)
}
