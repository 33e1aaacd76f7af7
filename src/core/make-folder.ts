// Folders with all above them, each tried a bounded number of times.
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder of ours (mode 700), and those above it that are missing; one that is there stays as it is. Throws the file
 * system's error. Not Node's own `recursive`: where a folder is there in which nothing can be made it goes up and down for ever
 * (`/proc`: ENOENT for the folder, EEXIST for the one above).
 */
export async function makeFolder(path: string): Promise<void> {
  const error = await tryMaking(path)
  if (error === null) return
  const above = dirname(path)
  if (error.code !== 'ENOENT' || above === path) throw error
  await makeFolder(above)
  const again = await tryMaking(path)
  if (again !== null) throw again
}

/** Null when it is there now. */
async function tryMaking(path: string): Promise<NodeJS.ErrnoException | null> {
  try {
    await mkdir(path, { mode: 0o700 })
    return null
  } catch (error) {
    const found = await stat(path).catch(() => null)
    return found?.isDirectory() ? null : (error as NodeJS.ErrnoException)
  }
}
