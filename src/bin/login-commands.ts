// Who one is to a broker: logging in, logging out, and being told.
import type { Command } from 'commander'
import type { LoginOptions } from '../cli/login.js'
import type { AddCommand } from './command-table.js'

export function addLoginCommands(root: Command, add: AddCommand): void {
  const login = () => import('../cli/login.js')
  add(
    root,
    'login',
    {
      summary: "get a person's token from the operators' issuer and keep it for the commands that follow",
      examples: ['hallpass login', 'hallpass login --device', 'hallpass login --issuer staff --port 8123'],
    },
    async (io, _, options: LoginOptions) => (await login()).runLogin(options, io),
  )
    .option('--device', 'show a code to enter in a browser on another machine')
    .option('--issuer <name>', 'where, if the broker names several')
    .option('--port <port>', 'the redirect port on loopback, for issuers that want a registered one', '0')
    .option('--timeout <duration>', 'how long to wait for the browser', '5m')
  add(
    root,
    'logout',
    { summary: 'remove what login has kept, and end its refresh token', examples: ['hallpass logout'] },
    async (io) => (await login()).runLogout(io),
  )
  add(
    root,
    'whoami',
    { summary: 'say what the broker verified of us', examples: ['hallpass whoami', 'hallpass whoami --output json'] },
    async (io) => (await login()).runWhoami(io),
  )
}
