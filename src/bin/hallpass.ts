#!/usr/bin/env node
// The one command. Which command is which: client-commands.ts (against a broker) and program-commands.ts (on this host).
import { text } from 'node:stream/consumers'
import { readEnvironment } from '../cli/env.js'
import { runCommandLine } from './command-line.js'

// Said once per start about a Node.js version that we support ourselves: noise in a log that people read for trouble.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'

// A stack or an error's members could quote what must not be shown; the message is written for people.
function endWithMessage(reason: unknown): never {
  process.stderr.write(`hallpass: ${reason instanceof Error ? reason.message : String(reason)}\n`)
  process.exit(1)
}
process.on('unhandledRejection', endWithMessage)
process.on('uncaughtException', endWithMessage)
// `hallpass lease list | head` closes our stdout early: that is its reader's right and no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  error.code === 'EPIPE' ? process.exit() : endWithMessage(error),
)

// Not process.exit: what is still being written would be cut off.
process.exitCode = await runCommandLine(process.argv.slice(2), {
  environment: readEnvironment(),
  stdout: (line) => process.stdout.write(line),
  stderr: (line) => process.stderr.write(line),
  readStdin: () => text(process.stdin),
  signals: process,
  onTerminal: process.stdin.isTTY === true,
  terminal: process.stderr.isTTY
    ? {
        get columns() {
          // Some terminals do not know how wide they are.
          return process.stderr.columns || 80
        },
        write: (text) => void process.stderr.write(text),
      }
    : undefined,
})
