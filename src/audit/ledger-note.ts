// Beside a chain: for which incarnation of the ledger it was written. An instance that finds another one does not issue.
import { open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'

const fileName = 'ledger.json'

/** The incarnation noted in the chain's folder; null when it never wrote to a ledger. */
export async function readLedgerNote(folder: string): Promise<string | null> {
  let text: string
  try {
    text = await readFile(join(folder, fileName), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  const { incarnation } = JSON.parse(text) as { incarnation?: unknown }
  if (typeof incarnation !== 'string') throw new Error(`${join(folder, fileName)} names no incarnation`)
  return incarnation
}

/** Resolves once it is on disk, whole: a crash leaves the note that was there before, or this one. */
export async function writeLedgerNote(folder: string, incarnation: string): Promise<void> {
  const path = join(folder, fileName)
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(`${JSON.stringify({ incarnation })}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}
