// The records of audit folders as one sequence: chains of several hosts and programs, merged by time. In memory of one record
// per chain, however much there is.
import { listChains, readRecords, type StoredRecord } from '../audit/read-records.js'

/** RFC 3339 with milliseconds in UTC sorts as text; within one chain the sequence decides, across chains the name. */
function isBefore(a: StoredRecord, b: StoredRecord): boolean {
  if (a.instance === b.instance) return a.seq < b.seq
  if (a.time !== b.time) return a.time < b.time
  return a.instance < b.instance
}

/** Oldest first. Throws the file system's error, and an Error where there is no audit in one of them. */
export async function* readFolders(directories: readonly string[]): AsyncGenerator<StoredRecord> {
  const chains: AsyncGenerator<StoredRecord>[] = []
  const seen = new Set<string>()
  for (const directory of directories) {
    const found = await listChains(directory)
    if (found.size === 0) throw new Error(`${directory}: there is no audit here`)
    for (const folder of found.values()) if (!seen.has(folder)) chains.push(readRecords(folder))
    for (const folder of found.values()) seen.add(folder)
  }
  const heads = (await Promise.all(chains.map(advance))).filter((head) => head !== null)
  while (heads.length > 0) {
    let first = 0
    for (let i = 1; i < heads.length; i++) if (isBefore(headAt(heads, i), headAt(heads, first))) first = i
    const { record, chain } = heads[first] as Head
    yield record
    const next = await advance(chain)
    if (next === null) heads.splice(first, 1)
    else heads[first] = next
  }
}

interface Head {
  readonly record: StoredRecord
  readonly chain: AsyncGenerator<StoredRecord>
}

const headAt = (heads: readonly Head[], i: number): StoredRecord => (heads[i] as Head).record

async function advance(chain: AsyncGenerator<StoredRecord>): Promise<Head | null> {
  const next = await chain.next()
  return next.done === true ? null : { record: next.value, chain }
}
