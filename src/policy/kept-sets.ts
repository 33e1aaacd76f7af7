// Policy sets by their hash, in the folder of the audit chain whose decisions name them (I10): they go wherever it goes. A file is
// the canonical JSON of `{path: text}` and nothing else, and its SHA-256 is its name: whoever holds it can see that this set decided.
import { randomBytes } from 'node:crypto'
import { open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { canonicalJson, type Json } from '../core/canonical-json.js'
import { sha256Hex } from '../core/hash.js'
import { makeFolder } from '../core/make-folder.js'
import { syncDirectory } from '../core/sync-directory.js'
import type { PolicySet } from './policy-set.js'

const folderName = 'policy-sets'
const hashForm = /^[0-9a-f]{64}$/

/**
 * Keeps the set in `<chain>/policy-sets/<hash>.json`, flushed, unless it is there already. `chain`: the folder of one
 * program's audit. Throws the file system's error: a decision whose set is not kept could not be made again.
 */
export async function keepPolicySet(chain: string, set: Pick<PolicySet, 'hash' | 'files'>): Promise<void> {
  const directory = join(chain, folderName)
  const path = join(directory, `${set.hash}.json`)
  if ((await findText(path, set.hash)).text !== null) return
  // Policies name people and resources: as private as the audit.
  await makeFolder(directory)
  const unfinished = join(directory, `.${set.hash}.${randomBytes(6).toString('hex')}`)
  try {
    await writeFlushed(unfinished, canonicalJson(set.files))
    await rename(unfinished, path)
  } catch (error) {
    await rm(unfinished, { force: true })
    throw error
  }
  await syncDirectory(directory)
  await syncDirectory(dirname(directory))
}

async function writeFlushed(path: string, text: string): Promise<void> {
  const handle = await open(path, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export type KeptSet =
  | { readonly outcome: 'found'; readonly files: Readonly<Record<string, string>> }
  /** `altered`: there is one under this name, and it is not the set that decided. */
  | { readonly outcome: 'missing' | 'altered' }

/**
 * The files of the set with this hash from the first of the folders that has them whole. A folder is an audit directory, or
 * one chain's in it: gathered folders stand for one another, since a hash means the same texts everywhere.
 */
export async function findKeptSet(folders: readonly string[], hash: string): Promise<KeptSet> {
  // A record is read before it is believed: what it names must not become a path.
  if (!hashForm.test(hash)) return { outcome: 'missing' }
  let altered = false
  for (const folder of (await Promise.all(folders.map(withChains))).flat()) {
    const found = await findText(join(folder, folderName, `${hash}.json`), hash)
    if (found.text !== null) {
      return { outcome: 'found', files: JSON.parse(found.text) as Record<string, string> }
    }
    altered ||= found.altered
  }
  return { outcome: altered ? 'altered' : 'missing' }
}

/** The folder, and the chains in it. */
async function withChains(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return [folder, ...entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name))]
}

async function findText(path: string, hash: string): Promise<{ text: string | null; altered: boolean }> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { text: null, altered: false }
    throw error
  }
  return sha256Hex(text) === hash && isFiles(text) ? { text, altered: false } : { text: null, altered: true }
}

function isFiles(text: string): boolean {
  try {
    const files = JSON.parse(text) as Json
    return typeof files === 'object' && files !== null && Object.values(files).every((one) => typeof one === 'string')
  } catch {
    return false
  }
}
