// What waits for people: they list it, look at it and answer; whoever asked waits on it.
import * as api from '../api/approvals.js'
import { answerApproval } from '../broker/answer-approval.js'
import { approvalView } from '../broker/approval-view.js'
import { awaitApproval, changesOf } from '../broker/await-approval.js'
import type { Caller, Parts } from '../broker/parts.js'
import { isOwn, notFound, recordForeign } from '../broker/task-access.js'
import { BrokerError, invalidField } from '../core/errors.js'
import { type Approval, stateAt } from '../ledger/approval.js'
import { callerOf, checkOperator, checkOperatorSeesAny, checkTaskToken, operatorMay, operatorMayAny } from './access.js'
import type { Concerned } from './concerned.js'
import type { ServerEvent } from './event-stream.js'
import type { Answer } from './problem.js'
import { type Identity, type Route, route } from './route.js'

const concernedByApproval = ({ record: { bound } }: Approval): Concerned => ({
  resource: bound.resource.id,
  action: bound.action,
  access: bound.access,
})

const viewOf = (parts: Parts, approval: Approval) => approvalView(approval, parts.issuer, parts.clock.now())

/** Whoever may answer it may see it. */
const mayView = (parts: Parts, caller: Caller, approval: Approval) =>
  (['operate.view', 'operate.approve'] as const).some((action) =>
    operatorMay(parts, caller, action, concernedByApproval(approval)),
  )

/** The approval when the identity may have it; `not_found` otherwise, the same for unknown and for another's. */
async function resolveOwnApproval(parts: Parts, identity: Identity, id: string): Promise<Approval> {
  const approval = await parts.ledger.findApproval(id)
  if (approval === null) throw notFound('approval')
  const { task: taskId } = approval.record.bound
  if (identity.kind === 'task') {
    if (identity.task === taskId) return approval
    throw notFound('approval')
  }
  const caller = callerOf(identity)
  const task = await parts.ledger.findTask(taskId)
  if (task && isOwn(task, caller.principal)) {
    await checkTaskToken(parts, identity, taskId)
    return approval
  }
  if (caller.principal.use === 'operator' && mayView(parts, caller, approval)) return approval
  await recordForeign(parts, caller, task, { approval: id })
  throw notFound('approval')
}

const longestStreamMs = 3_600_000
/** Each one looks at the ledger twice a second: more of them than this would be felt by those who do not wait. */
const mostStreams = 200
/** Of one account: else whoever holds one token has all of them, and nobody else is told when people have answered. */
const mostOfOne = 20
const streams = new Map<string, number>()

const countStreams = () => [...streams.values()].reduce((sum, count) => sum + count, 0)

/** Opens (1) or ends (-1) one of the account's. */
function countStream(account: string, by: 1 | -1): void {
  const left = (streams.get(account) ?? 0) + by
  if (left > 0) streams.set(account, left)
  else streams.delete(account)
}

/** An event per answer and for the end, as long as the caller's token is good. */
function streamOf(parts: Parts, identity: Identity, approval: Approval): Answer {
  const account = identity.kind === 'principal' ? identity.principal.account : approval.record.account
  if (countStreams() >= mostStreams || (streams.get(account) ?? 0) >= mostOfOne) {
    throw new BrokerError('busy', 'too many wait for approvals on this broker; use wait_seconds', {
      retryAfterSeconds: 5,
    })
  }
  const tokenEnds = identity.kind === 'principal' ? identity.principal.tokenExpiresAt * 1000 : Number.POSITIVE_INFINITY
  const waitMs = Math.min(longestStreamMs, tokenEnds - parts.clock.now())
  async function* events(gone: AbortSignal): AsyncGenerator<ServerEvent> {
    countStream(account, 1)
    try {
      for await (const seen of changesOf(parts, approval, { waitMs, gone })) {
        const data = viewOf(parts, seen)
        yield { event: 'approval', id: `${seen.answers}-${data.state}`, data }
      }
    } finally {
      countStream(account, -1)
    }
  }
  return { status: 200, body: undefined, events }
}

const wantsEvents = (accept: string | undefined) => /(^|,)\s*text\/event-stream\s*(;|,|$)/i.test(accept ?? '')

const answerRoute = (vote: 'approve' | 'deny', summary: string) =>
  route({
    method: 'POST',
    path: `/v1/approvals/:id/${vote}`,
    access: 'operator',
    summary,
    body: api.answerRequest,
    answer: api.approvalAnswer,
    async run({ parts, identity, params, body }) {
      const caller = callerOf(identity)
      const approval = await parts.ledger.findApproval(params[0] ?? '')
      await checkOperator(parts, caller, 'operate.approve', approval === null ? null : concernedByApproval(approval))
      if (approval === null) throw notFound('approval')
      const answered = await answerApproval(parts, caller, approval, { vote, reason: body.reason })
      return { status: 200, body: { approval: viewOf(parts, answered) } }
    },
  })

type Before = { at: number; id: string } | null

function readCursor(cursor: string | undefined): Before {
  if (cursor === undefined) return null
  const [, at, id] = /^([0-9]{1,15}) (appr_[0-9a-z]{26})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  if (at === undefined || id === undefined) throw invalidField('cursor', 'expected a cursor from an earlier answer')
  return { at: Number(at), id }
}

const cursorAt = ({ requestedAt, id }: Approval) => Buffer.from(`${requestedAt} ${id}`).toString('base64url')

export const approvalRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/v1/approvals',
    access: 'caller',
    summary: "Approvals of the last two days, the newest first: an operator's by operate.view, a workload's own.",
    query: api.approvalsQuery,
    answer: api.approvalList,
    async run({ parts, identity, query }) {
      const caller = callerOf(identity)
      const { principal } = caller
      const isOperator = principal.use === 'operator'
      const limit = query.limit ?? 100
      const account = isOperator ? (query.account ?? null) : principal.account
      const page = await parts.ledger.listApprovals(account, readCursor(query.cursor), limit)
      const visible: Approval[] = []
      for (const approval of page) {
        const { bound, account: whose } = approval.record
        const state = stateAt(approval, parts.clock.now())
        const { task: of, principal: by, action, resource } = bound
        const is = { state, task: of, principal: by, account: whose, action, resource: resource.id }
        if (Object.entries(is).some(([name, value]) => (query[name as keyof typeof is] ?? value) !== value)) continue
        const task = isOperator ? null : await parts.ledger.findTask(bound.task)
        if (isOperator ? mayView(parts, caller, approval) : task !== null && isOwn(task, principal))
          visible.push(approval)
      }
      // Nothing to see may mean that nothing is there, or that nothing may be seen: the second is a refusal.
      if (isOperator && visible.length === 0 && !operatorMayAny(parts, caller, 'operate.approve')) {
        await checkOperatorSeesAny(parts, caller)
      }
      const last = page.at(-1)
      const next = page.length === limit && last ? cursorAt(last) : null
      return { status: 200, body: { approvals: visible.map((one) => viewOf(parts, one)), next_cursor: next } }
    },
  }),
  route({
    method: 'GET',
    path: '/v1/approvals/:id',
    access: 'owner_or_operator',
    summary:
      'One approval; waits for its answer with wait_seconds, or tells each change with Accept: text/event-stream.',
    query: api.approvalQuery,
    answer: api.approval,
    tellsEvents: true,
    async run({ parts, identity, params, query, headers }) {
      const approval = await resolveOwnApproval(parts, identity, params[0] ?? '')
      if (wantsEvents(headers.accept)) return streamOf(parts, identity, approval)
      const seen = query.wait_seconds ? await awaitApproval(parts, approval, query.wait_seconds * 1000) : approval
      return { status: 200, body: viewOf(parts, seen) }
    },
  }),
  answerRoute(
    'approve',
    'Agrees to one exact request. Enough different people of the groups asked for, and it may be repeated.',
  ),
  answerRoute('deny', 'Denies it: one denial ends it.'),
]
