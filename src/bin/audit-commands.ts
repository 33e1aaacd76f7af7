// `hallpass audit show|timeline`: reading what happened, from files or from a broker.
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import type { ExecIo } from '../cli/exec.js'
import type { AddCommand } from './command-table.js'
import { withConfig } from './options.js'

interface ReadOptions {
  config: string
}
interface ShowOptions extends ReadOptions {
  task?: string
  principal?: string
  account?: string
  type?: string
  from?: string
  to?: string
  limit: string
}

const ofAudit = 'the configuration, for its audit.directory'

export function addAuditReading(audit: Command, add: AddCommand): void {
  const show = add(
    audit,
    'show [directories...]',
    {
      summary: 'print records from the files of one or more hosts, oldest first',
      examples: [
        'hallpass audit show --type decision.denied --from 2031-05-06T00:00:00Z',
        'hallpass audit show /mnt/gathered/audit-a /mnt/gathered/audit-b --account github:1296269 --output json',
      ],
    },
    async (io, directories, options: ShowOptions) => {
      const { parseAuditFilter, parseLimit } = await import('../admin/audit-filter.js')
      const { showAudit } = await import('../admin/audit-show.js')
      const filter = parseAuditFilter(options)
      const limit = parseLimit(options.limit)
      return await showAudit({ directories: await foldersOf(directories, options, io), filter, limit }, io.output)
    },
  )
  withConfig(show, ofAudit)
    .option('--task <id>', 'only of this task')
    .option('--principal <principal>', 'only of this principal, or by it')
    .option('--account <account>', 'only of this account')
    .option('--type <event>', 'only this event, such as lease.issued, or all of a kind: lease')
    .option('--from <time>', 'RFC 3339, UTC')
    .option('--to <time>', 'RFC 3339, UTC; before it')
    .option('--limit <n>', 'at most this many, the newest', '1000')
  const timeline = add(
    audit,
    'timeline <task> [directories...]',
    {
      summary: 'print a task and all below it as one story: decisions, approvals, leases, tool calls, ends, orders',
      examples: [
        'hallpass audit timeline task_01hzy3v5q8k2m4n6p8r0s2t4v6 /mnt/gathered/audit-a /mnt/gathered/audit-b',
        'hallpass audit timeline task_01hzy3v5q8k2m4n6p8r0s2t4v6 --url https://hallpass.acme.example',
      ],
    },
    async (io, [task = '', ...directories], options: ReadOptions & { url?: string }) => {
      const { parseTaskId } = await import('../admin/audit-filter.js')
      const { showTimelineOfBroker, showTimelineOfFiles } = await import('../admin/audit-timeline.js')
      const id = parseTaskId(task)
      if (options.url === undefined)
        return await showTimelineOfFiles(id, await foldersOf(directories, options, io), io.output)
      const { connectBroker } = await import('../cli/connection.js')
      const client = connectBroker({ ...io.environment, HALLPASS_URL: options.url })
      return await showTimelineOfBroker(id, client, io.output)
    },
  )
  withConfig(timeline, ofAudit).option(
    '--url <broker>',
    'ask a running broker, whose copy is bounded, instead of files',
  )
}

/** Directories that are named need no configuration: the audit is also read where none is. */
async function foldersOf(named: readonly string[], { config }: ReadOptions, io: ExecIo): Promise<readonly string[]> {
  if (named.length > 0) return named
  if (!existsSync(config)) {
    const { UsageError } = await import('../cli/exit-codes.js')
    throw new UsageError(`name the audit folders, or a configuration that does: ${config} is not there`)
  }
  const { loadConfig } = await import('../config/load.js')
  const { settings } = await loadConfig(config, io.environment)
  return [settings.audit.directory]
}
