// Orders given on a broker's host, without a token: for the day when operators' single sign-on is down. Whoever may read the
// configuration with its secrets could do worse; here he only shrinks what there is, and the audit says which local user it was.
import { userInfo } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Receipt } from '../api/leases.js'
import { lock as lockAnswer } from '../api/locks.js'
import { revocationRequest } from '../api/revocations.js'
import { withoutPastedTokens } from '../audit/pasted-tokens.js'
import { forceRevoke } from '../broker/force-revoke.js'
import type { Caller, Parts } from '../broker/parts.js'
import { setLock, writeLock } from '../broker/set-lock.js'
import { lockView, receiptView } from '../broker/views.js'
import type { CommandIo } from '../cli/connection.js'
import { exitCodes, UsageError } from '../cli/exit-codes.js'
import { describeLock, type LockAddOptions, parseLock } from '../cli/lock.js'
import { formatReceipts } from '../cli/receipts.js'
import { describeMatched, describeProgress, ofLost, parseOrder, type RevokeOptions } from '../cli/revoke.js'
import { type Composed, compose } from '../compose/compose.js'
import { loadConfig } from '../config/load.js'
import type { Settings } from '../config/schema.js'
import { systemClock } from '../core/clock.js'
import { BrokerError } from '../core/errors.js'
import { createId } from '../core/ids.js'
import { diagnoseLedger } from './doctor-ledger.js'

interface OnHost {
  readonly config: string
}

/** As `hallpass revoke` against a broker; with `--wait` a worker has to run somewhere. */
export async function runLocalRevoke(
  kind: string,
  ids: readonly string[],
  options: RevokeOptions & OnHost,
  io: CommandIo,
): Promise<number> {
  const order = withoutPastedTokens(parseStrictly(revocationRequest, parseOrder(kind, ids, options)))
  return await onHost(options.config, io, async (parts, caller, settings) => {
    const { target, reason, lock_seconds: lastsSeconds } = order
    const locked =
      lastsSeconds === undefined || order.dry_run || 'where' in target
        ? undefined
        : await writeLock(parts, caller, { target, reason, lastsSeconds }, { keepsTask: false })
    const ordered = await forceRevoke(parts, caller, order, locked)
    const leases = describeMatched(ordered.matched)
    if (ordered.matched === 0) {
      const lost = (await diagnoseLedger(settings))?.problems ?? []
      for (const problem of lost)
        io.output.note(`hallpass: this is NOT all that was issued: ${problem}${ordered.id === null ? '' : ofLost}`)
    }
    if (ordered.lock !== undefined) io.output.note(`${ordered.lock}: locked for ${options.lock}`)
    if (ordered.id === null) {
      io.output.print(ordered, `${leases} would be revoked; nothing was done`)
      return exitCodes.done
    }
    if (options.wait !== true) {
      io.output.print(ordered, `${ordered.id}: revoking ${leases}`)
      return exitCodes.done
    }
    io.output.note(`${ordered.id}: revoking ${leases}`)
    const carriedOut = await untilDone(parts, ordered.id)
    io.output.print(carriedOut, `${describeProgress(carriedOut)}\n${formatReceipts(carriedOut.receipts)}`)
    return carriedOut.failed > 0 ? exitCodes.revocationFailed : exitCodes.done
  })
}

/** As `hallpass lock add` against a broker. There is no `lock remove --local`: that would let credentials out. */
export async function runLocalLock(
  kind: string,
  ids: readonly string[],
  options: LockAddOptions & OnHost,
  io: CommandIo,
): Promise<number> {
  const { target, reason, expires_at } = withoutPastedTokens(parseLock(kind, ids, options))
  parseStrictly(revocationRequest, { target, reason })
  return await onHost(options.config, io, async (parts, caller) => {
    const expiry = expires_at ? { expiresAt: Date.parse(expires_at) } : {}
    const { lock, carriedOut } = await setLock(parts, caller, { target, reason, ...expiry })
    await carriedOut
    const shown = lockAnswer.parse(lockView(lock))
    io.output.print(shown, describeLock(shown))
    return exitCodes.done
  })
}

/** What the wire would refuse is refused here too: it ends up in the same records. */
function parseStrictly<T>(
  schema: {
    safeParse(
      value: unknown,
    ): { success: true; data: T } | { success: false; error: { issues: { path: PropertyKey[]; message: string }[] } }
  },
  value: unknown,
): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new UsageError(`--${issue?.path.join('.')}: ${issue?.message}`)
}

async function onHost(
  config: string,
  io: CommandIo,
  work: (parts: Parts, caller: Caller, settings: Settings) => Promise<number>,
): Promise<number> {
  const loaded = await loadConfig(config, io.environment)
  let composed: Composed | null = null
  try {
    composed = await compose(loaded, 'local', io.environment.HALLPASS_LOG_LEVEL ?? 'error')
    return await work(composed.parts, localCaller(), loaded.settings)
  } catch (error) {
    if (!(error instanceof BrokerError) || !error.code.endsWith('_unavailable')) throw error
    io.output.note(`hallpass: ${error.code}: ${error.detail}`)
    // Ending does not wait for the audit (I4): the order stands, and a worker carries it out.
    if (composed !== null && error.code === 'audit_unavailable')
      io.output.note('hallpass: what was ordered holds all the same; it is not on record')
    return exitCodes.unavailable
  } finally {
    await composed?.close()
  }
}

function localCaller(): Caller {
  const name = localUser()
  const now = systemClock.now()
  return {
    requestId: createId('req', now),
    principal: {
      id: `local:${name}`,
      issuer: 'local',
      subject: name,
      use: 'operator',
      attributes: {},
      account: `local:${name}`,
      instance: null,
      sessionSeconds: 0,
      binding: 'none',
      person: null,
      tokenSha256: '',
      tokenExpiresAt: 0,
    },
  }
}

/** Who runs this process, as the system says; a container's user often has no name. */
function localUser(): string {
  try {
    return userInfo().username
  } catch {
    return `uid-${process.getuid?.() ?? 'unknown'}`
  }
}

async function untilDone(parts: Parts, id: string) {
  for (;;) {
    const order = await parts.ledger.findRevocation(id)
    if (order === null) throw new Error(`the ledger has forgotten ${id}`)
    const { state, matched, done, failed } = order
    if (state === 'done')
      return { id, state, matched, done, failed, receipts: await receiptsOf(parts, id), next_cursor: null }
    await sleep(250)
  }
}

async function receiptsOf(parts: Parts, id: string): Promise<Receipt[]> {
  const receipts: Receipt[] = []
  for (let offset = 0; ; offset += 500) {
    const ids = await parts.ledger.leasesOfRevocation(id, offset, 500)
    const leases = await parts.ledger.findLeases(ids)
    receipts.push(...leases.map((lease) => receiptView(lease, parts.clock.now())))
    if (ids.length < 500) return receipts
  }
}
