// The way out on Redis. Each method is one Lua script; way-out.ts says what they mean.
import { systemClock } from '../core/clock.js'
import { BrokerError } from '../core/errors.js'
import type { Continuity } from './continuity.js'
import { lockTargets } from './lock-names.js'
import { createLedgerTime, type LedgerTime } from './not-after.js'
import { openTask } from './open-task.js'
import type { ReplicaAcks, Step } from './replica-acks.js'
import { fieldsOf, holderLookOf, taskOf } from './replies.js'
import type { Reply, RunScript } from './scripts.js'
import { storeActivation, storeRecord } from './stored-lease.js'
import type { Holder } from './task.js'
import { ledgerUnavailable } from './unavailable.js'
import type {
  ActivateAnswer,
  Activation,
  Look,
  OpenTask,
  OpenTaskAnswer,
  Reservation,
  ReserveAnswer,
  WayOut,
} from './way-out.js'

/** No lease is issued when nobody has swept for this long: there would be nobody to end it. */
const sweptWithinMs = 10_000

const holderList = (holders: readonly Holder[]) => holders.map((holder) => [holder.id, holder.kind, holder.windowMs])

/** The incarnation written to, or the watch over it. */
export type Written = Continuity | string

export const doubtOf = (written: Written) => (typeof written === 'string' ? null : written.doubt)
export const fullOf = (written: Written) => (typeof written === 'string' ? null : written.full)

/** Throws `ledger_unavailable` while Redis has no room for more. */
function checkRoom(written: Written): void {
  const full = fullOf(written)
  if (full !== null) throw new BrokerError('ledger_unavailable', full, { retryAfterSeconds: 10 })
}

/** On Redis. */
export function createWayOut(run: RunScript, written: Written, acks?: ReplicaAcks): WayOut {
  const time = createLedgerTime(systemClock.monotonic)
  return {
    async openTask(request: OpenTask): Promise<OpenTaskAnswer> {
      if (doubtOf(written) !== null) return { outcome: 'rolled_back', retryAfterSeconds: 5 }
      checkRoom(written)
      return await openTask(run, request, time)
    },
    async look(task: string, idempotencyKey: string | null, rate: { account: string; perMinute: number } | null) {
      const answer = await look(run, task, idempotencyKey, rate)
      if (answer !== 'not_found' && 'now' in answer) time.heard(answer.now)
      // A task that is not there may be one that was lost: its owner must not be told that it never was.
      if (answer === 'not_found' && typeof written !== 'string') await written.checkSure()
      return answer
    },
    async countRequest(account: string, perMinute: number) {
      return Math.ceil(Number(await run('count-request', account, perMinute)) / 1000) || null
    },
    async lookHolders(holders: readonly Holder[]) {
      const [now, looks] = (await run('look-holders', JSON.stringify(holderList(holders)))) as [number, Reply[]]
      time.heard(now)
      return { now, holders: looks.map((reply) => holderLookOf(reply, now)) }
    },
    async noteDenial(holders: readonly string[]) {
      await run('note-denial', JSON.stringify(holders))
    },
    reserve: (reservation: Reservation) => reserve(run, reservation, written, time),
    async noteHandle(lease: string, sealedHandle: string, locks: readonly string[] = []) {
      const answer = await run('note-handle', lease, sealedHandle, JSON.stringify(locks))
      return answer as 'ok' | 'state' | 'closed' | 'locked'
    },
    async activate(lease: string, activation: Activation, locks: readonly string[]): Promise<ActivateAnswer> {
      const out = storeActivation(lease, activation)
      const answer = await run('activate', lease, activation.sealedHandle, out, JSON.stringify(locks))
      const [outcome, issuedAt] = answer as ['ok' | 'state' | 'closed' | 'late' | 'locked', number]
      return outcome === 'ok' ? { outcome, issuedAt } : { outcome }
    },
    waitReplicated: async (lease: string, step: Step) => await acks?.wait(lease, step),
  }
}

async function look(
  run: RunScript,
  task: string,
  idempotencyKey: string | null,
  rate: { account: string; perMinute: number } | null,
): Promise<Look | 'not_found' | { rateRetryAfterSeconds: number }> {
  const answer = await run('look', task, idempotencyKey ?? '', rate?.account ?? '', rate?.perMinute ?? 0)
  const [outcome, now, fields, open, expires, holders, lease, body, above] = answer as [
    string,
    number,
    Reply,
    number,
    number,
    Reply[],
    string,
    string,
    [string, Reply][],
  ]
  if (outcome === 'not_found') return 'not_found'
  if (outcome === 'rate') return { rateRetryAfterSeconds: Math.ceil(now / 1000) }
  return {
    now,
    task: taskOf(task, fieldsOf(fields)),
    ancestors: above.map(([id, reply]) => [id, fieldsOf(reply)] as const).flatMap(ancestorOf),
    chainOpen: open === 1,
    chainExpiresAt: expires,
    holders: holders.map((reply) => holderLookOf(reply, now)),
    prior: lease === '' ? null : { lease, bodySha256: body },
  }
}

/** One that Redis has forgotten has ended, and so the chain is not open. */
const ancestorOf = ([id, fields]: readonly [string, ReturnType<typeof fieldsOf>]) =>
  fields.state === undefined ? [] : [taskOf(id, fields)]

async function reserve(
  run: RunScript,
  reservation: Reservation,
  written: Written,
  time: LedgerTime,
): Promise<ReserveAnswer> {
  if (doubtOf(written) !== null) return { outcome: 'rolled_back' }
  checkRoom(written)
  const { record, idempotency } = reservation
  const stamp = typeof written === 'string' ? { incarnation: written } : written.nextTurn()
  const args = {
    lease: reservation.lease,
    versions: reservation.versions,
    counts: reservation.counts ?? [],
    holders: holderList(reservation.holders),
    ttlMs: reservation.ttlSeconds * 1000,
    timeoutMs: reservation.providerTimeoutMs,
    ...stamp,
    sweptWithin: sweptWithinMs,
    notAfter: time.notAfter(),
    limits: reservation.limits,
    locks: [...lockTargets({ id: reservation.lease, record }), ...reservation.locks],
    ...(reservation.capacity ? { capacity: reservation.capacity } : {}),
    ...(reservation.approval ? { approval: reservation.approval } : {}),
    ...(idempotency ? { idem: idempotency.key, body: idempotency.bodySha256 } : {}),
  }
  const answer = (await run('reserve', JSON.stringify(args), storeRecord(record))) as [
    string,
    string | number,
    string | number,
  ]
  const [outcome, first, second] = answer
  if (outcome === 'late') {
    time.heard(Number(first))
    throw ledgerUnavailable()
  }
  if (typeof written !== 'string') {
    if (outcome === 'ok' && 'turn' in stamp) written.acknowledge(stamp.turn)
    if (outcome === 'rolled_back') written.suspect('the ledger is not as this broker left it')
  }
  switch (outcome) {
    case 'ok':
      return { outcome, now: Number(first), expiresAt: Number(second) }
    case 'again':
      return { outcome, lease: String(first), bodySha256: String(second) }
    case 'locked':
      return { outcome, target: String(first) }
    case 'approval':
      return { outcome, state: String(first) }
    case 'quota':
      return { outcome, limit: String(first), retryAfterSeconds: Number(second) }
    default:
      return { outcome: outcome as 'version' | 'closed' | 'no_worker' | 'rolled_back' | 'exists' }
  }
}
