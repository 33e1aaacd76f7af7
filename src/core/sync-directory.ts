// Files that must outlive a power cut: a new or renamed one does only once its folder, too, is on disk.
import { open } from 'node:fs/promises'

export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
