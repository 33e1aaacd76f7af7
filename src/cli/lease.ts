// `hallpass lease list|show|find|release|retry|abandon`.
import { leaseFilter } from '../api/leases.js'
import type { BrokerClient, Lease, LeaseSearch, Receipt } from '../client/index.js'
import { systemClock } from '../core/clock.js'
import { sha256Hex } from '../core/hash.js'
import { parseDuration } from './arguments.js'
import { type CommandIo, connectBroker } from './connection.js'
import { surroundingTask } from './env.js'
import { exitCodes, UsageError } from './exit-codes.js'
import { noteLostLedger } from './ledger-doubt.js'
import { formatMembers, formatTable } from './output.js'
import { describeReceipt, formatReceipts, hasFailed, settleReceipts } from './receipts.js'

/** Option names as commander gives them; the wire's names are the same in snake_case. */
export interface LeaseListOptions {
  [filter: string]: string | undefined
}

export async function runLeaseList(options: LeaseListOptions, io: CommandIo): Promise<number> {
  const { limit, cursor, ...rest } = options
  const filters = Object.fromEntries(
    Object.entries(rest).flatMap(([name, value]) => {
      const wire = name.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`)
      return wire in leaseFilter.shape && value !== undefined ? [[wire, value]] : []
    }),
  )
  const parsed = leaseFilter.safeParse(filters)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new UsageError(`--${String(issue?.path[0]).replaceAll('_', '-')}: ${issue?.message}`)
  }
  return printLeases({ ...parsed.data, limit, cursor }, io)
}

/**
 * Whose is this? `source` is `-` (the secret is read from stdin and hashed here: only its fingerprint leaves this
 * machine) or a fingerprint.
 */
export async function runLeaseFind(source: string, io: CommandIo): Promise<number> {
  if (source !== '-' && !/^[0-9a-f]{64}$/.test(source)) {
    throw new UsageError('lease find: a secret does not belong in an argument: pipe it in and say "lease find -"')
  }
  const fingerprint = source === '-' ? await hashStdin(io) : source
  const list = await searchLeases(connectBroker(io.environment), { fingerprint }, () => true)
  io.output.print(list, formatLeases(list.leases))
  if (list.leases.length === 0) {
    // Most leaks are found when the credential has long ended; "no leases" alone would read as "not one of ours".
    const where = 'the lease.issued records of the audit folders'
    io.output.note(
      `no lease that lives or ended lately has the fingerprint ${fingerprint}; an older one stands with it in ${where}`,
    )
    await noteLostLedger(io)
  }
  return exitCodes.done
}

export async function runLeaseShow(leaseId: string, io: CommandIo): Promise<number> {
  const taskToken = surroundingTask(io.environment).token
  const { receipt, ...lease } = await connectBroker(io.environment).showLease(leaseId, { taskToken })
  const ended = receipt === null ? null : describeReceipt(receipt, receipt.at)
  io.output.print({ ...lease, receipt }, formatMembers({ ...lease, receipt: ended }))
  return exitCodes.done
}

/** 7 when the end of the credential failed. */
export async function runLeaseRelease(leaseId: string, options: { wait: string }, io: CommandIo): Promise<number> {
  const client = connectBroker(io.environment)
  const taskToken = surroundingTask(io.environment).token
  const attempt = async (): Promise<Receipt[]> => [await client.releaseLease(leaseId, { taskToken })]
  const receipts = await settleReceipts(attempt, parseDuration(options.wait, '--wait'), systemClock)
  io.output.print({ receipt: receipts[0] }, formatReceipts(receipts))
  return hasFailed(receipts) ? exitCodes.revocationFailed : exitCodes.done
}

export async function runLeaseRetry(leaseId: string, options: { reason?: string }, io: CommandIo): Promise<number> {
  const lease = await connectBroker(io.environment).retryLease(leaseId, options.reason)
  io.output.print(lease, `${lease.id}: ${lease.state}; its revocation is tried again`)
  return exitCodes.done
}

export async function runLeaseAbandon(leaseId: string, options: { reason: string }, io: CommandIo): Promise<number> {
  const lease = await connectBroker(io.environment).abandonLease(leaseId, options.reason)
  io.output.print(
    lease,
    `${lease.id}: ${lease.state}; nobody tries any more, and it counts as held until ${lease.expires_at}`,
  )
  return exitCodes.done
}

async function hashStdin(io: CommandIo): Promise<string> {
  // What was copied out of a log or a file ends in a line feed that the credential does not have.
  const secret = (await io.readStdin()).trim()
  if (secret === '') throw new UsageError('lease find -: stdin was empty')
  if (/\s/.test(secret))
    io.output.note(
      'hallpass: all of stdin was hashed as one secret, its blanks and line feeds too; give the bare value alone',
    )
  return sha256Hex(secret)
}

async function printLeases(search: LeaseSearch, io: CommandIo): Promise<number> {
  // An answer without a lease is no answer yet: there are many, and none of those looked at so far is meant.
  const list = await searchLeases(connectBroker(io.environment), search, (found) => found.length === 0)
  io.output.print(list, formatLeases(list.leases))
  if (list.next_cursor !== null) io.output.note(`more: --cursor ${list.next_cursor}`)
  if (list.leases.length === 0) await noteLostLedger(io)
  return exitCodes.done
}

/** Page by page, for as long as there is more and `goesOn` of what was found. */
async function searchLeases(
  client: BrokerClient,
  search: LeaseSearch,
  goesOn: (found: readonly Lease[]) => boolean,
): Promise<{ leases: Lease[]; next_cursor: string | null }> {
  const found: Lease[] = []
  let { cursor } = search
  for (;;) {
    const { leases, next_cursor } = await client.listLeases(cursor === undefined ? search : { ...search, cursor })
    found.push(...leases)
    if (next_cursor === null || !goesOn(found)) return { leases: found, next_cursor }
    cursor = next_cursor
  }
}

function formatLeases(leases: readonly Lease[]): string {
  if (leases.length === 0) return 'no leases'
  const rows = leases.map((one) => [
    one.id,
    one.state,
    one.action,
    one.resource,
    one.provider,
    one.receipt?.outcome ?? '-',
    one.expires_at,
    one.principal,
  ])
  return formatTable([['LEASE', 'STATE', 'ACTION', 'RESOURCE', 'PROVIDER', 'RECEIPT', 'EXPIRES', 'PRINCIPAL'], ...rows])
}
