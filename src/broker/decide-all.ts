// Several credentials asked for with a task that is still to be opened: each is decided as if those before it were held.
import { BrokerError } from '../core/errors.js'
import type { Task } from '../ledger/task.js'
import { type Decided, decide } from './decide.js'
import { withHeld } from './holders.js'
import { noteDenial } from './look.js'
import type { Caller, Parts } from './parts.js'
import { refusalOf, refuse } from './refusal.js'
import { countRequest } from './request-rate.js'
import type { RequestedCredential } from './resolved-request.js'
import { decisionView } from './views.js'

/** A task as it would be opened, and what is asked for in it. */
export interface PlannedTask {
  readonly draft: Task
  /** From its parent up to the root. */
  readonly ancestors: readonly Task[]
  readonly requested: readonly RequestedCredential[]
}

/**
 * One decision per credential, in order. Throws `rate`, and 403 with all `decisions` where one of them is a denial: then no task
 * is opened. `countsDenials`: false for a dry run, whose denials count against nobody.
 */
export async function decideAll(
  parts: Parts,
  caller: Caller,
  { draft, ancestors, requested }: PlannedTask,
  { countsDenials }: { readonly countsDenials: boolean },
): Promise<readonly Decided[]> {
  if (requested.length === 0) return []
  // Before anything is decided: whoever is denied opens no task, and would be counted nowhere else.
  await countRequest(parts, caller)
  const look = await parts.ledger.lookHolders(draft.holders)
  let holders = look.holders
  const decided: Decided[] = []
  for (const [i, { resolved }] of requested.entries()) {
    const task = {
      openedAt: look.now,
      expiresAt: look.now + (draft.expiresAt - draft.openedAt),
      depth: draft.depth,
      activeLeases: i,
      ...(draft.ceiling === undefined ? {} : { ceiling: draft.ceiling }),
    }
    const one = decide(parts, caller, resolved, { now: look.now, task, holders, ancestors })
    decided.push(one)
    const { grant, resource } = resolved
    holders = withHeld(holders, { ...grant, resource, ttlSeconds: one.rememberedTtlSeconds })
  }
  // A denial says more than a missing approval: nothing an approver could do would help, so nobody is asked.
  const denied = decided.find((one) => one.verdict.effect === 'deny')
  if (!denied) return decided
  const refused = decided.filter((one) => one.verdict.effect !== 'permit')
  await Promise.all(refused.map((one) => refuse(parts, caller, null, one, countsDenials ? {} : { dry_run: true })))
  if (countsDenials) await noteDenial(parts, caller, draft.holders)
  throw refusalOfAll(denied, decided)
}

/** The 403 of the first denial, with the decisions of all. */
function refusalOfAll(denied: Decided, decided: readonly Decided[]): BrokerError {
  const { code, detail, members } = refusalOf(denied, denied.input)
  return new BrokerError(code, detail, {
    members: { ...members, decisions: decided.map((one) => decisionView(one.decision)) },
  })
}
