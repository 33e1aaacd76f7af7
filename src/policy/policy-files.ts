// The policy folder. Sub-folders count: a forbid that was moved into one must not silently be gone.
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { PolicySetError } from './policy-set.js'

/**
 * Every `*.cedar` under the folder, by its path relative to the folder, in order of path. Names with a leading dot are
 * left out: mounted Kubernetes volumes keep a second copy there. Throws PolicySetError when the folder cannot be read.
 */
export async function readPolicyFiles(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  try {
    for (const path of await listPolicies(folder, '')) files[path] = await readText(join(folder, path))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new PolicySetError([{ file: folder, line: 1, column: 1, message: `cannot be read: ${why}` }])
  }
  return files
}

async function listPolicies(folder: string, prefix: string): Promise<string[]> {
  const names = (await readdir(join(folder, prefix))).filter((name) => !name.startsWith('.')).sort()
  const found: string[] = []
  for (const name of names) {
    const path = prefix === '' ? name : `${prefix}/${name}`
    // stat, not lstat: mounted configuration is made of symbolic links.
    const entry = await stat(join(folder, path))
    if (entry.isDirectory()) found.push(...(await listPolicies(folder, path)))
    else if (name.endsWith('.cedar')) found.push(path)
  }
  return found
}

async function readText(file: string): Promise<string> {
  // Fatal: replacement characters would make another policy of the text.
  return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file))
}
