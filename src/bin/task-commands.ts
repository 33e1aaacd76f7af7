// `hallpass task …`: tasks by hand.
import type { Command } from 'commander'
import type { TaskDelegateOptions } from '../cli/delegate.js'
import type { TaskCompleteOptions, TaskListOptions, TaskOpenOptions } from '../cli/task.js'
import type { TaskEventOptions } from '../cli/task-event.js'
import type { AddCommand } from './command-table.js'
import { collect } from './options.js'

export function addTaskCommands(root: Command, add: AddCommand): void {
  const task = root.command('task').description('tasks by hand')
  const tasks = () => import('../cli/task.js')
  add(
    task,
    'open',
    { summary: 'open a task', examples: ['hallpass task open --purpose "nightly report" --ttl 30m'] },
    async (io, _, options: TaskOpenOptions) => (await tasks()).runTaskOpen(options, io),
  )
    .requiredOption('--purpose <text>', 'why, for the audit and for people')
    .option('--ttl <duration>', 'its deadline from now (default: 1h)')
    .option('--delegation <id>', 'below the task that this delegation is of')
  addTaskDelegate(task, add)
  add(
    task,
    'show [id]',
    { summary: 'show a task (without an id: HALLPASS_TASK)', examples: ['hallpass task show'] },
    async (io, [id]) => (await tasks()).runTaskShow(id, io),
  )
  add(
    task,
    'complete [id]',
    {
      summary: 'end a task and every credential in it',
      examples: ['hallpass task complete --outcome succeeded --wait 30s'],
    },
    async (io, [id], options: TaskCompleteOptions) => (await tasks()).runTaskComplete(id, options, io),
  )
    .option('--outcome <outcome>', 'succeeded, failed or cancelled')
    .option('--wait <duration>', 'how long to wait for the receipts', '10s')
  addTaskEvent(task, add)
  const list = add(
    task,
    'list',
    {
      summary: 'list tasks: your own, or as an operator what you may see',
      examples: ['hallpass task list --state open'],
    },
    async (io, _, options: TaskListOptions) => (await tasks()).runTaskList(options, io),
  )
    .option('--state <state>', 'open or ended')
    .option('--principal <principal>', "only this principal's")
    .option('--account <account>', "only this account's")
  addPaging(list)
}

function addTaskDelegate(task: Command, add: AddCommand): void {
  add(
    task,
    'delegate [id]',
    {
      summary: 'hand a part of what a task may do to somebody, for one task below it (without an id: HALLPASS_TASK)',
      examples: [
        'hallpass task delegate --to ci:repo:acme/tools:ref:refs/heads/main --allow repo.read=repo:acme/web',
        'hallpass task delegate --agent reviewer --allow repo.read=repo:acme/web --ttl 10m >> agent.env',
      ],
    },
    async (io, [id], options: TaskDelegateOptions) =>
      (await import('../cli/delegate.js')).runTaskDelegate(id, options, io),
  )
    .option('--to <issuer:subject>', 'whoever its own issuer vouches for')
    .option('--instance <instance>', 'only this run of it')
    .option('--agent <name>', 'a sub-agent without an identity of its own: prints a token for it')
    .option('--allow <action=resource>', 'what it may ask for, once for each pair', collect)
    .option('--ttl <duration>', 'until when it may be used, at most 15m', '10m')
}

function addTaskEvent(task: Command, add: AddCommand): void {
  add(
    task,
    'event [id]',
    {
      summary: "put a tool call on the task's timeline, as claimed (without an id: HALLPASS_TASK)",
      examples: ['hallpass task event --tool psql --outcome ok --detail "12 rows"'],
    },
    async (io, [id], options: TaskEventOptions) => (await import('../cli/task-event.js')).runTaskEvent(id, options, io),
  )
    .requiredOption('--tool <name>', 'what was called')
    .requiredOption('--outcome <word>', 'how it ended: ok, error, denied, ...')
    .option('--action <action>', 'for which action')
    .option('--resource <resource>', 'on what')
    .option('--detail <text>', 'at most 2,000 characters; secrets are left out')
    .option('--at <time>', 'when, RFC 3339, UTC')
}

/** For lists that come in pages. */
export function addPaging(command: Command): void {
  command.option('--limit <n>', 'at most this many, 1 to 1000').option('--cursor <cursor>', 'go on from here')
}
