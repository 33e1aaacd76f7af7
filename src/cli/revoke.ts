// `hallpass revoke`: an operator's order to end every lease that a target reaches.
import { setTimeout as sleep } from 'node:timers/promises'
import type { BrokerClient, Receipt, Revocation } from '../client/index.js'
import { parseDuration } from './arguments.js'
import { type CommandIo, connectBroker } from './connection.js'
import { exitCodes, isUnavailable, UsageError } from './exit-codes.js'
import { noteLostLedger } from './ledger-doubt.js'
import { formatReceipts } from './receipts.js'
import { parseTarget } from './targets.js'

export interface RevokeOptions {
  reason: string
  lock?: string | undefined
  dryRun?: boolean | undefined
  wait?: boolean | undefined
}

/** Gives 0 once the order is taken (or with `--wait` carried out), 7 when a credential could not be ended. */
export async function runRevoke(
  kind: string,
  ids: readonly string[],
  options: RevokeOptions,
  io: CommandIo,
): Promise<number> {
  const order = parseOrder(kind, ids, options)
  const client = connectBroker(io.environment)
  const ordered = await client.createRevocation(order)
  if (ordered.lock !== undefined) io.output.note(`${ordered.lock}: locked for ${options.lock}`)
  const leases = describeMatched(ordered.matched)
  if (ordered.matched === 0) await noteLostLedger(io, ordered.id === null ? '' : ofLost)
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

/** Recovery carries out once more what was ordered meanwhile. */
export const ofLost = '; the order is on record and will reach what recovery brings back'

/** The order as the wire has it. Throws UsageError. */
export function parseOrder(kind: string, ids: readonly string[], options: RevokeOptions) {
  const lock = options.lock === undefined ? {} : { lock_seconds: parseDuration(options.lock, '--lock') }
  const target = parseTarget(kind, ids, 'revoke')
  if ('where' in target && options.lock !== undefined) {
    throw new UsageError('--lock: a filter cannot be locked; lock its issuer, account or resource with "lock add"')
  }
  return { target, reason: options.reason, dry_run: options.dryRun === true, ...lock }
}

export const describeMatched = (matched: number) => (matched === 1 ? '1 live lease' : `${matched} live leases`)

export function describeProgress({ id, matched, done, failed }: Revocation): string {
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
