// Beside a chain: for which incarnation of the ledger it was written. An instance that finds another one does not issue.
import { open, readdir, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'

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

/** What the chains beside this one were written for: a program that is new on this host knows by them what there was. */
export async function readNotesBeside(folder: string): Promise<string[]> {
  const parent = dirname(folder)
  const entries = await readdir(parent, { withFileTypes: true })
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => join(parent, entry.name))
  const notes = await Promise.all(folders.filter((one) => one !== folder).map(readLedgerNote))
  return [...new Set(notes.filter((note) => note !== null))]
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
