// The ledger on Redis. Each method is one Lua script or one read; ledger.ts says what they mean.
import { systemClock } from '../core/clock.js'
import { createApprovalStore } from './approval-store.js'
import { type Connection, untilReady } from './connection.js'
import { type Continuity, nameLedger } from './continuity.js'
import { createDelegationStore } from './delegation-store.js'
import { createExclusiveClaims } from './exclusive-claims.js'
import { createHeartbeats } from './heartbeats.js'
import { ledgerTag, settledChannel } from './keys.js'
import { createLeaseReader } from './lease-reader.js'
import type * as L from './ledger.js'
import { createCounts } from './ledger-counts.js'
import { createNoticeStore } from './notice-store.js'
import type { ReplicaAcks } from './replica-acks.js'
import { fieldsOf, leaseOf } from './replies.js'
import { createRevocationStore } from './revocation-store.js'
import { createRulesStore } from './rules-store.js'
import { createScripts, type Reply, type RunScript } from './scripts.js'
import { createSettledWaiter } from './settled-waiter.js'
import { createTimelineStore } from './timeline-store.js'
import { ledgerUnavailable, orUnavailable } from './unavailable.js'
import { createWayOut, doubtOf, fullOf } from './way-out-store.js'

export interface RedisLedgerParts {
  /** Fails fast; for commands. */
  readonly redis: Connection
  /** Waits through outages; for subscriptions. */
  readonly subscriber: Connection
  readonly prefix: string
  /** Watches that the ledger loses nothing. Or the incarnation to write to: it is only watched that it stays the same. */
  readonly continuity?: Continuity | string
  /** Asks replicas, where there are any. Closed with the ledger. */
  readonly acks?: ReplicaAcks
}

/** Opens the ledger; resolves when Redis answers. Throws BrokerError `ledger_unavailable` after 5 s without it. */
export async function openRedisLedger(parts: RedisLedgerParts): Promise<L.Ledger> {
  const { redis, prefix } = parts
  const tag = ledgerTag(prefix)
  const run = failingAsUnavailable(createScripts(redis, tag))
  if (!(await untilReady(redis, 5000))) throw ledgerUnavailable()
  const written = parts.continuity ?? (await nameLedger(redis, prefix))
  return {
    ...createWayOut(run, written, parts.acks),
    ...wayBack(run, prefix),
    ...sweep(run),
    ...createHeartbeats(run),
    ...createExclusiveClaims(redis, tag, systemClock),
    ...createLeaseReader(redis, tag, run),
    ...createRevocationStore(redis, tag, run, settledChannel(prefix)),
    ...createApprovalStore(redis, tag, run),
    ...createCounts(run),
    ...createNoticeStore(redis, tag, run),
    ...createRulesStore(redis, tag, run),
    ...createDelegationStore(redis, tag, run),
    ...createTimelineStore(redis, tag, run),
    ...health(parts, tag),
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
    async endTask(task: string, outcome: string, unlessHeard = false) {
      const answer = await run('end-task', task, outcome, unlessHeard ? 1 : 0)
      const [first, ended, children] = answer as [string | number, string?, string[]?]
      return first === 'not_found' || first === 'heard'
        ? first
        : { ended: first === 1, outcome: ended ?? outcome, children: children ?? [] }
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
      parts.acks?.close()
      redis.disconnect()
      subscriber.disconnect()
    },
  }
}

const failingAsUnavailable =
  (run: RunScript): RunScript =>
  (name, ...args) =>
    orUnavailable(run(name, ...args))
