// `hallpass revoke`: an operator's order to end every lease that a target reaches.
import { setTimeout as sleep } from 'node:timers/promises'
import { target as targetSchema } from '../api/revocations.js'
import type { BrokerClient, OrderRevocation, Receipt, Revocation } from '../client/index.js'
import { type CommandIo, connectBroker } from './connection.js'
import { exitCodes, isUnavailable, UsageError } from './exit-codes.js'
import { formatReceipts } from './receipts.js'

export const revocationKinds = [
  'lease',
  'task',
  'principal',
  'account',
  'issuer',
  'action',
  'resource',
  'provider',
  'all',
] as const

export interface RevokeOptions {
  reason: string
  dryRun?: boolean | undefined
  wait?: boolean | undefined
}

/** Gives 0 once the order is taken (or with `--wait` carried out), 7 when a credential could not be ended. */
export async function runRevoke(
  kind: string,
  id: string | undefined,
  options: RevokeOptions,
  io: CommandIo,
): Promise<number> {
  const target = parseTarget(kind, id)
  const client = connectBroker(io.environment)
  const ordered = await client.createRevocation({ target, reason: options.reason, dry_run: options.dryRun === true })
  const leases = ordered.matched === 1 ? '1 live lease' : `${ordered.matched} live leases`
  if (options.dryRun === true || ordered.id === null) {
    io.output.print(ordered, `${leases} would be revoked; nothing was done`)
    return exitCodes.done
  }
  if (options.wait !== true) {
    io.output.print(ordered, `${ordered.id}: revoking ${leases}`)
    return exitCodes.done
  }
  io.output.note(`${ordered.id}: revoking ${leases}`)
  const carriedOut = await waitForEnd(client, ordered.id)
  io.output.print(carriedOut, `${describeProgress(carriedOut)}\n${formatReceipts(carriedOut.receipts)}`)
  return carriedOut.failed > 0 ? exitCodes.revocationFailed : exitCodes.done
}

function parseTarget(kind: string, id: string | undefined): OrderRevocation['target'] {
  if (!revocationKinds.some((known) => known === kind)) {
    throw new UsageError(`revoke: expected one of ${revocationKinds.join(', ')}, not "${kind}"`)
  }
  if (kind === 'all' && id !== undefined) throw new UsageError(`revoke all takes no id; did you mean another kind?`)
  if (kind !== 'all' && id === undefined) throw new UsageError(`revoke ${kind}: which one?`)
  const parsed = targetSchema.safeParse({ [kind]: kind === 'all' ? true : id })
  if (parsed.success) return parsed.data
  throw new UsageError(`revoke ${kind}: "${id}" has not the shape of one`)
}

function describeProgress({ id, matched, done, failed }: Revocation): string {
  return `${id}: ${matched} matched, ${done} done, ${failed} failed`
}

/** Until it is done, however long that takes: an outage on the way is waited through, since the order stands. */
async function waitForEnd(client: BrokerClient, id: string): Promise<Revocation> {
  for (;;) {
    try {
      const seen = await client.showRevocation(id, { waitSeconds: 20 })
      if (seen.state === 'done') return { ...seen, receipts: await collectReceipts(client, seen), next_cursor: null }
    } catch (error) {
      if (!isUnavailable(error)) throw error
    }
    await sleep(250)
  }
}

async function collectReceipts(client: BrokerClient, first: Revocation): Promise<Receipt[]> {
  const receipts = [...first.receipts]
  for (let cursor = first.next_cursor; cursor !== null; ) {
    const page = await client.showRevocation(first.id, { cursor })
    receipts.push(...page.receipts)
    cursor = page.next_cursor
  }
  return receipts
}
