// A chain of tasks in the story tests: who hands what to whom, each as one call.
import type { DelegationRequest } from '../../src/api/delegations.js'
import type { OpenTaskRequest } from '../../src/api/tasks.js'
import { delegate } from '../../src/broker/delegate.js'
import { authenticateDelegation } from '../../src/broker/delegation-token.js'
import { openTask } from '../../src/broker/open-task.js'
import type { Caller } from '../../src/broker/parts.js'
import type { Task } from '../../src/ledger/task.js'
import type { Story } from './story.js'

export const read = { action: 'repo.read', resource: 'repo:acme/web' }
export const write = { action: 'repo.write', resource: 'repo:acme/web' }
export const deploy = { action: 'deploy.run', resource: 'repo:acme/web' }
export const migrate = { action: 'database.migrate', resource: 'database:orders' }

export const toDelegate = ({ principal }: Caller): Pick<DelegationRequest, 'delegate'> => ({
  delegate: { issuer: principal.issuer, subject: principal.subject },
})

export const handOver = (
  story: Story,
  from: Caller,
  task: Task,
  to: Pick<DelegationRequest, 'delegate' | 'agent'>,
  ceiling: DelegationRequest['ceiling'] = [read, write, deploy, migrate],
  ttl_seconds = 60,
) => delegate(story.parts, from, task, { ...to, ceiling, ttl_seconds })

export const openChild = (
  story: Story,
  by: Caller,
  delegation: string | undefined,
  more: Partial<OpenTaskRequest> = {},
) =>
  openTask(
    story.parts,
    by,
    { purpose: 'a part of it', ...(delegation === undefined ? {} : { delegation }), ...more },
    null,
  )

/** A parent's task and one below it, of somebody else's. */
export async function aPair(story: Story, ceiling?: DelegationRequest['ceiling']) {
  const [boss, helper] = [story.caller(), story.caller()]
  const parent = await story.task(boss)
  const { delegation } = await handOver(story, boss, parent, toDelegate(helper), ceiling)
  const { task: child } = await openChild(story, helper, delegation.id)
  return { boss, helper, parent, child, delegation }
}

/** A sub-agent of the caller's, as its token shows it. */
export async function anAgent(
  story: Story,
  boss: Caller,
  parent: Task,
  ceiling: DelegationRequest['ceiling'] = [read],
) {
  const { delegation, token } = await handOver(story, boss, parent, { agent: 'reviewer' }, ceiling)
  const principal = await authenticateDelegation(story.parts, token ?? '')
  return { delegation, token: token ?? '', agent: { principal, requestId: 'req_agent' } satisfies Caller }
}
