// Loads the Lua scripts that lie beside this file (the build copies them) and gives each a typed call.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Cluster, Redis } from 'ioredis'

const scriptNames = [
  'open-task',
  'look',
  'look-holders',
  'count-request',
  'note-denial',
  'reserve',
  'note-handle',
  'activate',
  'end-leases',
  'end-task',
  'task-leases-ended',
  'claim',
  'renew-claim',
  'settle',
  'take-due',
  'take-due-names',
  'is-live',
  'create-revocation',
  'revocation-scanned',
  'set-lock',
  'remove-lock',
  'retry-lease',
  'abandon-lease',
  'beat',
  'note-serving',
  'take-due-tasks',
  'beat-instance',
  'restore-task',
  'restore-lease',
  'restore-end',
  'restore-granted',
  'restore-lock',
  'restore-order',
  'counts',
  'take-bulk',
  'keep-order',
  'adopt-rules',
  'begin-redecision',
  'keep-redecision',
  'end-redecision',
  'release-redecision',
  'scan-live',
  'create-delegation',
  'restore-delegation',
  'ask-approval',
  'answer-approval',
  'expire-approval',
  'restore-approval',
  'restore-denials',
  'add-notice',
  'take-due-notices',
  'settle-notice',
  'count-events',
  'give-back-events',
  'note-secrets',
  'note-records',
] as const

export type ScriptName = (typeof scriptNames)[number]
export type Argument = string | number
/** What a script answers: Redis replies as ioredis gives them. */
export type Reply = string | number | null | Reply[]
export type RunScript = (name: ScriptName, ...args: Argument[]) => Promise<Reply>

const folder = join(fileURLToPath(new URL('.', import.meta.url)), 'lua')

/** Defines every script on the connection. The one declared key is the ledger's tag: it sends the call to the right slot. */
export function createScripts(redis: Redis | Cluster, tag: string): RunScript {
  const prelude = readFileSync(join(folder, 'prelude.lua'), 'utf8')
  const present = readdirSync(folder).filter((file) => file !== 'prelude.lua')
  for (const name of scriptNames) {
    if (!present.includes(`${name}.lua`)) throw new Error(`the ledger script ${name}.lua is missing beside ${folder}`)
    redis.defineCommand(commandName(name), {
      numberOfKeys: 1,
      lua: prelude + readFileSync(join(folder, `${name}.lua`), 'utf8'),
    })
  }
  const commands = redis as unknown as Record<string, (tag: string, ...args: Argument[]) => Promise<Reply>>
  return (name, ...args) => {
    const command = commands[commandName(name)]
    if (!command) throw new Error(`no such ledger script: ${name}`)
    return command.call(redis, tag, ...args)
  }
}

const commandName = (name: string) => `hallpass_${name.replaceAll('-', '_')}`
