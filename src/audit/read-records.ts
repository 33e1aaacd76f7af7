// Reads chains back as records, for whoever rebuilds from them. Whether they hold together is verify-chain's question.
import { readdir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { readLines } from './read-lines.js'
import type { AuditRecord } from './record.js'
import { listSegments } from './segments.js'

export type StoredRecord = AuditRecord & { readonly seq: number; readonly instance: string; readonly time: string }

/** The chains in a directory, or the one that it is: name → folder. Throws the file system's error. */
export async function listChains(directory: string): Promise<Map<string, string>> {
  const root = resolve(directory)
  if ((await listSegments(root)).length > 0) return new Map([[basename(root), root]])
  const chains = new Map<string, string>()
  for (const entry of await readdir(root, { withFileTypes: true })) {
    const folder = join(root, entry.name)
    if (entry.isDirectory() && (await listSegments(folder)).length > 0) chains.set(entry.name, folder)
  }
  return chains
}

/** The records of one chain with a sequence above `after`, in order. A line that is no record is passed over. */
export async function* readRecords(folder: string, after = 0): AsyncGenerator<StoredRecord> {
  const segments = await listSegments(folder)
  for (const [i, segment] of segments.entries()) {
    const next = segments[i + 1]
    if (next && next.firstSequence <= after + 1) continue
    for await (const line of readLines(segment.path)) {
      const record = line.terminated && !line.tooLong ? parseRecord(line.bytes) : null
      if (record !== null && record.seq > after) yield record
    }
  }
}

/** Null for a line that is no record. */
export function parseRecord(bytes: Buffer): StoredRecord | null {
  try {
    const record = JSON.parse(bytes.toString('utf8')) as StoredRecord
    return Number.isSafeInteger(record.seq) && typeof record.event === 'string' ? record : null
  } catch {
    return null
  }
}
