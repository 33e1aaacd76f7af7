// `hallpass policy pending|apply`: changed rules that wait for an operator's word.
import type { BrokerClient, NoLongerPermitted } from '../client/index.js'
import { type CommandIo, connectBroker } from './connection.js'
import { exitCodes } from './exit-codes.js'
import { formatTable } from './output.js'

export async function runPolicyPending(io: CommandIo): Promise<number> {
  const client = connectBroker(io.environment)
  const leases: NoLongerPermitted[] = []
  let page = await client.pendingChange()
  leases.push(...page.leases)
  while (page.next_cursor !== null) {
    page = await client.pendingChange({ cursor: page.next_cursor })
    leases.push(...page.leases)
  }
  const { change } = page
  io.output.print({ change, leases }, describePending(change, leases))
  return exitCodes.done
}

function describePending(
  change: Awaited<ReturnType<BrokerClient['pendingChange']>>['change'],
  leases: NoLongerPermitted[],
) {
  if (change === null) return 'no rules have been taken into force yet'
  const { rules, policy_set, state, live, would_end, ended, ended_lately } = change
  const set = policy_set === null ? '' : `, policy set ${policy_set}`
  const head = `rules ${rules}${set}`
  if (state === 'done') return `${head}: all live leases were decided by them; ${ended} were ended`
  const what =
    state === 'waiting'
      ? `${would_end} of ${live} live leases wait to end${lately(ended_lately)}\nhallpass policy apply ${rules} --reason …`
      : 'live leases are being decided again'
  return [`${head}: ${what}`, ...tableOf(leases)].join('\n')
}

const lately = (ended: number) => (ended === 0 ? '' : `; changes just before it ended ${ended}, which count with them`)

/** One line for each lease. */
export const tableOf = (leases: readonly NoLongerPermitted[]) =>
  leases.length === 0
    ? []
    : [
        formatTable([
          ['LEASE', 'PRINCIPAL', 'ACTION', 'RESOURCE', 'REASON', 'POLICIES'],
          ...leases.map((one) => [
            one.lease,
            one.principal,
            one.action,
            one.resource,
            one.reason,
            one.policies.join(' ') || '-',
          ]),
        ]),
      ]

export async function runPolicyApply(hash: string, { reason }: { reason: string }, io: CommandIo): Promise<number> {
  const change = await connectBroker(io.environment).applyPolicyChange({ hash, reason })
  io.output.print(change, `${change.rules}: ${change.would_end} of ${change.live} live leases are ended now`)
  return exitCodes.done
}
