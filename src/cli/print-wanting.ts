// What a command that does not wait leaves behind: the approval, the task that stays open for it, and how to go on.
import { describeNeeds } from './approval-text.js'
import type { ApprovalWanting } from './not-approved.js'
import { formatMembers, type Output } from './output.js'

/** For programs, on stdout: everything that the repeated call needs. */
export function wantingReport({ approvals, taskId, taskToken }: ApprovalWanting) {
  const [first] = approvals
  return { approval: first, approvals, task_id: taskId, task_token: taskToken, url: first.url }
}

/** `exec` prints JSON whatever `--output` says: who reads it there is a program that wants to go on later. */
export function printWanting(wanting: ApprovalWanting, command: 'exec' | 'request', output: Output): void {
  const report = wantingReport(wanting)
  output.print(report, command === 'exec' ? JSON.stringify(report, null, 2) : describeWanting(wanting))
  for (const line of wantingNotes(wanting, command)) output.note(line)
}

/** For people, on stderr. */
export function wantingNotes(wanting: ApprovalWanting, command: 'exec' | 'request'): string[] {
  const { approvals, taskId } = wanting
  const ids = approvals.map(({ id }) => `--approval ${id}`).join(' ')
  const rest = command === 'exec' ? ' … -- CMD' : ' …'
  return [
    ...approvals.map(
      (one) =>
        `hallpass ${command}: ${one.action} on ${one.resource} needs ${describeNeeds(one)} until ${one.expires_at}: ${one.url}`,
    ),
    `hallpass ${command}: ${taskId} stays open; when approved, go on with: hallpass ${command} --task ${taskId} ${ids}${rest}`,
  ]
}

function describeWanting({ approvals, taskId }: ApprovalWanting): string {
  return approvals
    .map((one) =>
      formatMembers({
        approval: one.id,
        state: one.state,
        group: one.group,
        needed: describeNeeds(one),
        url: one.url,
        expires: one.expires_at,
        task: taskId,
      }),
    )
    .join('\n')
}
