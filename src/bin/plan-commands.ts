// Planning commands: what may be asked for, and whether one thing would be given.
import type { Command } from 'commander'
import type { CanOptions } from '../cli/can.js'
import type { AddCommand } from './command-table.js'
import { collect } from './options.js'

export function addPlanCommands(root: Command, add: AddCommand): void {
  const plan = () => import('../cli/can.js')
  add(
    root,
    'can <action> <resource>',
    {
      summary: 'say whether a request would be permitted: 0 yes, 4 no, 5 after an approval; opens and mints nothing',
      examples: [
        'hallpass can database.query database:orders --ttl 5m',
        'hallpass can database.migrate database:orders --context change_type=schema --output json',
      ],
    },
    async (io, [action = '', resource = ''], options: CanOptions) =>
      (await plan()).runCan(action, resource, options, io),
  )
    .option('--ttl <duration>', 'for how long, such as 5m (default: the grant says)')
    .option('--context <k=v>', 'what would be declared about the change', collect)
    .option('--task <id>', 'as the next request of this task (default: HALLPASS_TASK, else the first of a new one)')
  add(
    root,
    'actions',
    {
      summary: 'list what may be asked for, and with --resource whether we may',
      examples: ['hallpass actions', 'hallpass actions --resource database:orders'],
    },
    async (io, _, options: { resource?: string }) => (await plan()).runActions(options, io),
  ).option('--resource <resource>', 'only what can be asked on it')
}
