// The ledger on Redis. Each method is one Lua script or one read; ledger.ts says what they mean.
import { systemClock } from '../core/clock.js'
import { BrokerError } from '../core/errors.js'
import { createApprovalStore } from './approval-store.js'
import { type Connection, untilReady } from './connection.js'
import { type Continuity, nameLedger } from './continuity.js'
import { createDelegationStore } from './delegation-store.js'
import { createHeartbeats } from './heartbeats.js'
import { ledgerTag, settledChannel } from './keys.js'
import { lockTargets } from './lease.js'
import { createLeaseReader } from './lease-reader.js'
import type * as L from './ledger.js'
import { createLedgerTime, type LedgerTime } from './not-after.js'
import { createNoticeStore } from './notice-store.js'
import { createOnce } from './once.js'
import { openTask } from './open-task.js'
import { fieldsOf, holderLookOf, leaseOf, taskOf } from './replies.js'
import { createRevocationStore } from './revocation-store.js'
import { createRulesStore } from './rules-store.js'
import { createScripts, type Reply, type RunScript } from './scripts.js'
import { createSettledWaiter } from './settled-waiter.js'
import { createSight } from './sight.js'
import { storeActivation, storeRecord } from './stored-lease.js'
import type { Holder } from './task.js'
import { createTimelineStore } from './timeline-store.js'
import { ledgerUnavailable, orUnavailable } from './unavailable.js'

/** No lease is issued when nobody has swept for this long: there would be nobody to end it. */
const sweptWithinMs = 10_000

export interface RedisLedgerParts {
  /** Fails fast; for commands. */
  readonly redis: Connection
  /** Waits through outages; for subscriptions. */
  readonly subscriber: Connection
  readonly prefix: string
  /** Watches that the ledger loses nothing. Or the incarnation to write to: it is only watched that it stays the same. */
  readonly continuity?: Continuity | string
}

/** Opens the ledger; resolves when Redis answers. Throws BrokerError `ledger_unavailable` after 5 s without it. */
export async function openRedisLedger(parts: RedisLedgerParts): Promise<L.Ledger> {
  const { redis, prefix } = parts
  const tag = ledgerTag(prefix)
  const run = failingAsUnavailable(createScripts(redis, tag))
  if (!(await untilReady(redis, 5000))) throw ledgerUnavailable()
  const written = parts.continuity ?? (await nameLedger(redis, prefix))
  return {
    ...wayOut(run, written),
    ...wayBack(run, prefix),
    ...sweep(run),
    ...createHeartbeats(run),
    ...createOnce(redis, tag, systemClock),
    ...createLeaseReader(redis, tag, run),
    ...createRevocationStore(redis, tag, run, settledChannel(prefix)),
    ...createApprovalStore(redis, tag, run),
    ...createSight(redis, tag, run),
    ...createNoticeStore(redis, tag, run),
    ...createRulesStore(redis, tag, run),
    ...createDelegationStore(redis, tag, run),
    ...createTimelineStore(redis, tag, run),
    ...health(parts, tag),
  }
}

const holderList = (holders: readonly Holder[]) => holders.map((holder) => [holder.id, holder.kind, holder.windowMs])

/** The incarnation written to, or the watch over it. */
type Written = Continuity | string

const doubtOf = (written: Written) => (typeof written === 'string' ? null : written.doubt)
const fullOf = (written: Written) => (typeof written === 'string' ? null : written.full)

/** Throws `ledger_unavailable` while Redis has no room for more. */
function checkRoom(written: Written): void {
  const full = fullOf(written)
  if (full !== null) throw new BrokerError('ledger_unavailable', full, { retryAfterSeconds: 10 })
}

function wayOut(run: RunScript, written: Written) {
  const time = createLedgerTime(systemClock.monotonic)
  return {
    async openTask(request: L.OpenTask): Promise<L.OpenTaskAnswer> {
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
    reserve: (reservation: L.Reservation) => reserve(run, reservation, written, time),
    async noteHandle(lease: string, sealedHandle: string, locks: readonly string[] = []) {
      const answer = await run('note-handle', lease, sealedHandle, JSON.stringify(locks))
      return answer as 'ok' | 'state' | 'closed' | 'locked'
    },
    async activate(lease: string, activation: L.Activation, locks: readonly string[]): Promise<L.ActivateAnswer> {
      const out = storeActivation(lease, activation)
      const answer = await run('activate', lease, activation.sealedHandle, out, JSON.stringify(locks))
      const [outcome, issuedAt] = answer as ['ok' | 'state' | 'closed' | 'late' | 'locked', number]
      return outcome === 'ok' ? { outcome, issuedAt } : { outcome }
    },
  }
}

async function look(
  run: RunScript,
  task: string,
  idempotencyKey: string | null,
  rate: { account: string; perMinute: number } | null,
): Promise<L.Look | 'not_found' | { rateRetryAfterSeconds: number }> {
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
  reservation: L.Reservation,
  written: Written,
  time: LedgerTime,
): Promise<L.ReserveAnswer> {
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

const dueLeases = (reply: Reply): L.DueLease[] =>
  (reply as [string, string, number, number?][]).map(([lease, provider, attempts, waitingMs]) => ({
    lease,
    provider,
    attempts,
    waitingMs: waitingMs ?? 0,
  }))

function wayBack(run: RunScript, prefix: string) {
  return {
    async endLeases(leases: readonly string[], ending: L.Ending) {
      const ended: { due: L.DueLease[]; ordered: L.OrderedLease[] } = { due: [], ordered: [] }
      // 50 at a time: a longer script would hold up everybody else's Redis calls.
      for (let i = 0; i < leases.length; i += 50) {
        const page = { ...ending, leases: leases.slice(i, i + 50) }
        const [due, ordered] = (await run('end-leases', JSON.stringify(page))) as [Reply, string[][]]
        ended.due.push(...dueLeases(due))
        for (const [id = '', principal = '', account = '', task = ''] of ordered) {
          ended.ordered.push({ id, principal, account, task })
        }
      }
      return ended
    },
    async endTask(task: string, outcome: string) {
      const [first, ended, ...children] = (await run('end-task', task, outcome)) as [string | number, ...string[]]
      return first === 'not_found'
        ? ('not_found' as const)
        : { ended: first === 1, outcome: ended ?? outcome, children }
    },
    async taskLeasesEnded(task: string) {
      await run('task-leases-ended', task)
    },
    async claim(lease: string, token: string): Promise<L.ClaimAnswer> {
      const [outcome, now, wasReserved, fields] = (await run('claim', lease, token)) as [string, number, number, Reply]
      if (outcome !== 'ok') return { outcome: outcome as 'held' | 'terminal' | 'early' }
      const known = fieldsOf(fields)
      const orderedAt = Number(known.ending ?? now)
      return { outcome, now, lease: leaseOf(lease, known), wasReserved: wasReserved === 1, orderedAt }
    },
    renewClaim: async (lease: string, token: string) => (await run('renew-claim', lease, token)) === 1,
    async settle(lease: string, token: string, settlement: L.Settlement) {
      const { state, receipt, lookAt, owed, uncounted } = settlement
      const flags = [owed ? 1 : 0, settledChannel(prefix), uncounted ? 1 : 0]
      const args = [state, JSON.stringify(receipt), lookAt ?? '', ...flags]
      return (await run('settle', lease, token, ...args)) === 1
    },
  }
}

function sweep(run: RunScript) {
  return {
    takeDue: async (providers: readonly string[], limit: number) =>
      dueLeases(await run('take-due', limit, ...providers)),
    async takeDueTasks(limit: number) {
      const due = (await run('take-due-tasks', limit)) as [string, 'deadline' | 'abandoned'][]
      return due.map(([task, outcome]) => ({ task, outcome }))
    },
    takeBulk: async (provider: string, limit: number) => (await run('take-bulk', provider, limit)) as string[],
    async keepOrder(id: string) {
      await run('keep-order', id)
    },
    takeDueRevocations: async (limit: number) => (await run('take-due-names', 'revocations', limit)) as string[],
  }
}

function health(parts: RedisLedgerParts, tag: string) {
  const { redis, subscriber, prefix } = parts
  const waiter = createSettledWaiter(subscriber, settledChannel(prefix))
  const now = async () => {
    const [seconds, micros] = (await orUnavailable(redis.time())) as unknown as [string, string]
    return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
  }
  return {
    now,
    async ready() {
      const [swept, incarnation] = await orUnavailable(redis.mget(`${tag}swept`, `${tag}incarnation`))
      const at = await now()
      return {
        now: at,
        sweptAgoMs: swept == null ? null : at - Number(swept),
        incarnation: incarnation ?? null,
        doubt: doubtOf(parts.continuity ?? ''),
        full: fullOf(parts.continuity ?? ''),
      }
    },
    async checkSure() {
      if (typeof parts.continuity === 'object') await parts.continuity.checkSure()
    },
    waitSettled: waiter.wait,
    async close() {
      waiter.close()
      redis.disconnect()
      subscriber.disconnect()
    },
  }
}

const failingAsUnavailable =
  (run: RunScript): RunScript =>
  (name, ...args) =>
    orUnavailable(run(name, ...args))
