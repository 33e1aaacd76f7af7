// `hallpass keys create` and `hallpass keys rotate`: on files, without any server.
import type { Clock } from '../core/clock.js'
import { KeyFileError } from '../signing/key-file.js'
import { createMissingKeys, publishedBeforeUseSeconds, type RotatedKeys, rotateKeys } from '../signing/key-rotation.js'
import { type KeyPurpose, keyPurposes } from '../signing/keyset.js'
import type { CommandOutput } from './command-output.js'

export interface KeysCommand {
  /** `keys.directory` of the configuration. */
  directory: string
  clock: Clock
}

/** Makes each purpose's missing keys and leaves the others. Returns the exit code: 0, or 1 where a file cannot be used. */
export async function createKeys(command: KeysCommand, output: CommandOutput): Promise<number> {
  return withKeyErrors(output, async () => {
    const results = await createMissingKeys(command.directory, command.clock)
    const lines = results.map(({ path, created }) =>
      created.length === 0 ? `${path}: complete, left as it is` : `${path}: made ${created.join(' and ')}`,
    )
    output.print({ keys: results }, lines.join('\n'))
    return 0
  })
}

/** Rotates one purpose's keys, or all. Returns the exit code: 0, or 1 where a file cannot be used. */
export async function rotateKeyPurposes(
  command: KeysCommand,
  output: CommandOutput,
  purpose?: KeyPurpose,
): Promise<number> {
  return withKeyErrors(output, async () => {
    const results: RotatedKeys[] = []
    for (const each of purpose ? [purpose] : keyPurposes) {
      const rotated = await rotateKeys(command.directory, each, command.clock)
      results.push(rotated)
      noteShortNotice(output, rotated)
    }
    const lines = results.map(
      ({ purpose: of, current, next, retired, dropped }) =>
        `${of}: ${current} signs from now on, ${next} is next, ${retired} is retired` +
        (dropped.length > 0 ? `, ${dropped.join(', ')} dropped` : ''),
    )
    output.print({ keys: results.map(toWire) }, lines.join('\n'))
    return 0
  })
}

function toWire({ publishedForSeconds, ...rotated }: RotatedKeys): object {
  return { ...rotated, published_for_seconds: publishedForSeconds }
}

/** A verifier that fetched our keys before the new one was among them refuses it until it fetches again. */
function noteShortNotice(output: CommandOutput, { purpose, publishedForSeconds }: RotatedKeys): void {
  const isPublished = purpose === 'grants' || purpose === 'federation'
  if (!isPublished || publishedForSeconds >= publishedBeforeUseSeconds) return
  output.note(
    `${purpose}: the key that signs now was published ${publishedForSeconds} s ago; whoever keeps our keys for longer ` +
      `may refuse what it signs until it fetches them again (leave ${publishedBeforeUseSeconds / 60} minutes between rotations)`,
  )
}

async function withKeyErrors(output: CommandOutput, run: () => Promise<number>): Promise<number> {
  try {
    return await run()
  } catch (error) {
    const isExpected = error instanceof KeyFileError || (error as NodeJS.ErrnoException).code !== undefined
    if (!isExpected) throw error
    output.note(`hallpass: ${(error as Error).message}`)
    return 1
  }
}
