// Approvals as they stand in Redis: `a:<approval>` is one, `t:<task>:a` finds that of the same request, `h:<account>:a` counts
// those that wait, `due:approvals` tells whose time is up, and `approvals` and `h:<account>:aa` list the last two days'.
import type { Approval, ApprovalRecord, ApprovalState, ApprovalVote } from './approval.js'
import type { ApprovalStore } from './approval-ledger.js'
import type { Connection } from './connection.js'
import { holderId } from './keys.js'
import { type Fields, fieldsOf } from './replies.js'
import type { Reply, RunScript } from './scripts.js'
import { orUnavailable } from './unavailable.js'

export function createApprovalStore(redis: Connection, tag: string, run: RunScript): ApprovalStore {
  const findApproval = async (id: string) => approvalOf(id, await orUnavailable(redis.hgetall(`${tag}a:${id}`)))
  return {
    async askApproval(ask) {
      const { record } = ask
      const args = {
        approval: ask.id,
        bound: record.boundSha256,
        chain: record.bound.chain,
        account: holderId('account', record.account),
        ttlMs: ask.timeoutSeconds * 1000,
        pending: ask.pendingLimit,
        cooldown: ask.cooldownKey,
        flag: ask.flagKey,
        locks: ask.locks,
      }
      const answer = (await run('ask-approval', JSON.stringify(args), JSON.stringify(record))) as [string, Reply, Reply]
      const [outcome, first, fields] = answer
      if (outcome === 'closed') return { outcome }
      if (outcome === 'locked') return { outcome, target: String(first) }
      if (outcome === 'denied' || outcome === 'quota') {
        return { outcome, retryAfterSeconds: Math.max(1, Math.ceil(Number(first) / 1000)) }
      }
      const approval = approvalOf(String(first), fieldsOf(fields))
      if (approval === null) throw new Error('the ledger answered an approval without its record')
      return { outcome: outcome as 'ok' | 'again', approval }
    },
    findApproval,
    async answerApproval({ id, vote, ...args }) {
      const answer = await run(
        'answer-approval',
        id,
        JSON.stringify({ ...args, vote: vote.vote }),
        JSON.stringify(vote),
      )
      const [outcome, first] = answer as ['ok' | 'again' | 'version' | 'not_found' | 'late' | 'locked', string]
      if (outcome === 'late') return { outcome, state: first as ApprovalState }
      if (outcome === 'locked') return { outcome, target: first }
      return { outcome }
    },
    async withdrawApproval(id, why) {
      await run('expire-approval', id, why)
    },
    takeDueApprovals: async (limit) => (await run('take-due-names', 'approvals', limit)) as string[],
    expireApproval: async (id) => (await run('expire-approval', id, '')) as 'expired' | 'over' | 'early',
    async approvalExpiryWritten(id) {
      await orUnavailable(redis.zrem(`${tag}due:approvals`, id))
    },
    async listApprovals(account, before, limit) {
      const key = account === null ? `${tag}approvals` : `${tag}h:${holderId('account', account)}:aa`
      // Scores are negative times, so that the first are the newest.
      const from = before === null ? '-inf' : `${-before.at}`
      const named = await orUnavailable(redis.zrangebyscore(key, from, '+inf', 'LIMIT', 0, limit + 100))
      const past = before === null ? -1 : named.indexOf(before.id)
      const found = await Promise.all(named.slice(past + 1, past + 1 + limit).map(findApproval))
      return found.flatMap((approval) => approval ?? [])
    },
  }
}

/** A hash → Approval; null where there is none, or only the trace that it was used (recovery). */
function approvalOf(id: string, fields: Fields): Approval | null {
  const { rec, state, asked, expires } = fields
  if (rec === undefined || state === undefined) return null
  const votes = Object.entries(fields).flatMap(([name, text]) =>
    name.startsWith('v:') ? [JSON.parse(text) as ApprovalVote] : [],
  )
  return {
    id,
    record: JSON.parse(rec) as ApprovalRecord,
    state: state as ApprovalState,
    votes: votes.sort((a, b) => a.at - b.at),
    answers: fields.n ?? '0',
    requestedAt: Number(asked),
    expiresAt: Number(expires),
    endReason: fields.why ?? null,
    lease: fields.lease ?? null,
    recentRequests: Number(fields.recent ?? 1),
    deniedBefore: fields.before === '1',
  }
}
