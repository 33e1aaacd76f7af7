// The policy folder. Sub-folders count: a forbid that was moved into one must not silently be gone.
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { PolicySetError } from './policy-set.js'

/** Thousands of policies take a few megabytes. What is beyond this is no policy set, and is read each second. */
const mostBytes = 64 << 20
const mostFolders = 10_000

/** One reading: how much of it there was. */
interface Reading {
  readonly folder: string
  folders: number
  bytes: number
}

/**
 * Every `*.cedar` under the folder, by its path relative to the folder, in order of path. Names with a leading dot are
 * left out: mounted Kubernetes volumes keep a second copy there. Throws PolicySetError when the folder cannot be read.
 */
export async function readPolicyFiles(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  const reading: Reading = { folder, folders: 0, bytes: 0 }
  try {
    for (const path of await listPolicies(reading, '')) files[path] = await readText(reading, path)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new PolicySetError([{ file: folder, line: 1, column: 1, message: `cannot be read: ${why}` }])
  }
  return files
}

async function listPolicies(reading: Reading, prefix: string): Promise<string[]> {
  const { folder } = reading
  // By links there can be more ways through a few folders than anybody could walk.
  if (++reading.folders > mostFolders) throw new Error(`there are more than ${mostFolders} folders`)
  const names = (await readdir(join(folder, prefix))).filter((name) => !name.startsWith('.')).sort()
  const found: string[] = []
  for (const name of names) {
    const path = prefix === '' ? name : `${prefix}/${name}`
    // stat, not lstat: mounted configuration is made of symbolic links.
    const entry = await stat(join(folder, path))
    if (entry.isDirectory()) found.push(...(await listPolicies(reading, path)))
    else if (name.endsWith('.cedar')) found.push(path)
  }
  return found
}

async function readText(reading: Reading, path: string): Promise<string> {
  const file = join(reading.folder, path)
  const entry = await stat(file)
  // Of a pipe nobody knows when it ends, and a device has no end: with it no other policy would ever be read again.
  if (!entry.isFile()) throw new Error(`${path} is no regular file`)
  reading.bytes += entry.size
  if (reading.bytes > mostBytes) throw new Error(`the policies up to ${path} are more than ${mostBytes >> 20} MiB`)
  // Fatal: replacement characters would make another policy of the text.
  const bytes = await readFile(file)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new Error(`${path} is not UTF-8`)
  }
}
