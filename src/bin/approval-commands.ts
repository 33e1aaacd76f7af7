// People's answers to requests that wait for them.
import type { Command } from 'commander'
import type { AnswerOptions, ApprovalsOptions } from '../cli/approval.js'
import type { AddCommand } from './command-table.js'

const approval = () => import('../cli/approval.js')
const reason = ['--reason <text>', 'why, for the audit and for whoever asked'] as const

export function addApprovalCommands(root: Command, add: AddCommand): void {
  add(
    root,
    'approve <id>',
    {
      summary: 'agree to one exact request (operators of the group that is asked)',
      examples: [
        'hallpass approvals --state pending',
        'hallpass approve appr_01hzy3v5q8k2m4n6p8r0s2t4v6 --reason "planned migration, ticket 4711"',
      ],
    },
    async (io, [id = ''], options: AnswerOptions) => (await approval()).runApprove(id, options, io),
  ).requiredOption(...reason)
  add(
    root,
    'deny <id>',
    {
      summary: 'refuse a request; one is enough (operators of the group that is asked)',
      examples: ['hallpass deny appr_01hzy3v5q8k2m4n6p8r0s2t4v6 --reason "not during the sale"'],
    },
    async (io, [id = ''], options: AnswerOptions) => (await approval()).runDeny(id, options, io),
  ).requiredOption(...reason)
  add(
    root,
    'approvals [show] [id]',
    {
      summary: 'list approvals, or show one with everything that an answer binds',
      examples: [
        'hallpass approvals --state pending',
        'hallpass approvals show appr_01hzy3v5q8k2m4n6p8r0s2t4v6',
        'hallpass approvals --output json',
      ],
    },
    async (io, words, options: ApprovalsOptions) => (await approval()).runApprovals(words, options, io),
  )
    .option('--state <state>', 'pending, approved, denied, expired or used')
    .option('--task <id>', "only this task's")
    .option('--account <account>', "only this account's")
    .option('--limit <n>', 'at most this many, 1 to 1000')
    .option('--cursor <cursor>', 'go on from here')
}
