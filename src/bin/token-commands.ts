// Commands about tokens, on files.
import { type Command, Option } from 'commander'
import type { AddCommand } from './command-table.js'

interface ExplainOptions {
  config: string
  jwks?: string
  online?: boolean
}

export function addTokenCommands(root: Command, add: AddCommand): void {
  const token = root.command('token').description('subject tokens, on files')
  add(
    token,
    'explain [file]',
    {
      summary: 'run a token through every check, offline: 0 accepted, 3 refused, 1 not everything could be checked',
      examples: [
        'hallpass token explain token.jwt',
        'hallpass token explain --online < token.jwt',
        'hallpass token explain --jwks keys.json --output json - < token.jwt',
      ],
    },
    async (io, [file], { config, jwks, online = false }: ExplainOptions) => {
      const { runTokenExplain } = await import('../admin/token-explain.js')
      const keys = jwks === undefined ? {} : { jwks }
      const command = { config, env: io.environment, file, online, ...keys }
      return await runTokenExplain(command, io.readStdin, io.output)
    },
  )
    .addOption(new Option('--config <file>', 'the configuration').env('HALLPASS_CONFIG').default('./hallpass.yaml'))
    .option('--jwks <file>', "check with these keys (JWKS or SPIFFE bundle) in place of the issuer's")
    .option('--online', "fetch the issuer's keys where they are remote")
}
