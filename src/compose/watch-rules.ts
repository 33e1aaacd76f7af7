// Looks each second whether the configuration or the policies changed, and has the change taken: whole or not at all.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type LoadedConfig, loadConfig } from '../config/load.js'
import { readPolicyFiles } from '../policy/policy-files.js'

export interface RulesWatch {
  /** Reads everything again now (SIGHUP). */
  reload(): Promise<void>
  stop(): void
}

/** A set that has loaded, and is to come into force or to be dropped. */
export interface LoadedRules {
  take(): Promise<void>
  drop(): void
}

export interface RulesWatchEvents {
  /** Throws what is wrong with it. */
  load(next: LoadedConfig): Promise<LoadedRules>
  refused(error: unknown): Promise<void>
}

const lookEveryMs = 1000
/** Between two reads that have to agree when we are told to reload. */
const readAgainMs = 250
/** Somebody copies for longer than this: whatever is there then is tried, and refused where it is half a set. */
const mostReads = 40

/**
 * A change is taken when two reads agree, so that a half-copied folder changes nothing, and when what was loaded is what they
 * saw. What does not load (an empty or vanished folder, a broken file) leaves the last good set in force and is told to `refused`.
 * `policyFiles`: what is in force, as it was read. A program reads at its start and looks for the first time seconds later: what
 * was changed in between is a change like any other.
 */
export function watchRules(
  { file, text, settings }: LoadedConfig,
  policyFiles: Readonly<Record<string, string>>,
  on: RulesWatchEvents,
): RulesWatch {
  let folder = settings.policies
  let seen = digestOfTexts(text, policyFiles)
  let before: string | null = null
  let busy = Promise.resolve()

  const take = async (digest: string) => {
    try {
      const next = await loadConfig(file)
      if (next.settings.policies !== folder) {
        // Another folder, which nobody has read twice: the next two looks do.
        folder = next.settings.policies
        before = null
        return
      }
      const loaded = await on.load(next)
      if ((await digestOf(file, folder)) !== digest) return loaded.drop()
      seen = digest
      await loaded.take()
    } catch (error) {
      // Read while it was written: no fault of anybody's, and it is looked at again.
      if ((await digestOf(file, folder)) !== digest) return
      seen = digest
      await on.refused(error)
    }
  }
  const look = async () => {
    const now = await digestOf(file, folder)
    if (now !== seen && now === before) await take(now)
    before = now
  }
  const reload = async () => {
    let last = await digestOf(file, folder)
    for (let read = 0; read < mostReads; read++) {
      await new Promise((resolve) => setTimeout(resolve, readAgainMs))
      const now = await digestOf(file, folder)
      if (now === last) break
      last = now
    }
    await take(last)
  }
  const queue = (work: () => Promise<void>) => {
    busy = busy.then(work).catch(() => undefined)
    return busy
  }
  const timer = setInterval(() => void queue(look), lookEveryMs)
  timer.unref()
  void queue(look)
  return { reload: () => queue(reload), stop: () => clearInterval(timer) }
}

async function digestOf(file: string, policies: string): Promise<string> {
  // Decoded as it is when it is loaded, but for what would not load anyway.
  const text = new TextDecoder().decode(await readFile(file).catch(() => undefined))
  return digestOfTexts(text, await readPolicyFiles(policies).catch(() => ({})))
}

function digestOfTexts(config: string, policies: Readonly<Record<string, string>>): string {
  return createHash('sha256')
    .update(JSON.stringify([config, policies]))
    .digest('hex')
}
