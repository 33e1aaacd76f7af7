// The files of one chain: `<first sequence>.jsonl` in order, and `checkpoints.jsonl` beside them.
import { open, readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { type ChainHead, genesis, hashLine, maxLineBytes, parseLine } from './hash-chain.js'

export const checkpointsFile = 'checkpoints.jsonl'

export interface Segment {
  readonly path: string
  readonly file: string
  readonly firstSequence: number
}

/** A chain on disk that cannot be continued without hiding what happened to it. */
export class BrokenChainError extends Error {
  constructor(path: string, what: string) {
    super(
      `${path}: ${what}. Nothing is appended to a chain that does not hold together: look at it with ` +
        '`hallpass audit verify`, keep the folder as evidence and move it away; a new chain is then begun',
    )
    this.name = 'BrokenChainError'
  }
}

/** Segments in order of their first sequence. An absent directory throws ENOENT. */
export async function listSegments(directory: string): Promise<Segment[]> {
  const names = await readdir(directory)
  return names
    .filter((name) => /^[1-9][0-9]{0,14}\.jsonl$/.test(name))
    .map((file) => ({ file, path: join(directory, file), firstSequence: Number(file.slice(0, -'.jsonl'.length)) }))
    .sort((a, b) => a.firstSequence - b.firstSequence)
}

export interface Healed {
  readonly file: string
  readonly bytes: number
  readonly sha256: string
}

/**
 * Cuts what stands after the last newline: a write that a crash tore, which was never answered for, since answers wait for
 * the flush. Returns what was cut, for the record that says so, or null.
 */
export async function cutTornLine(path: string, file: string): Promise<Healed | null> {
  const tail = await readTail(path, maxLineBytes + 1)
  if (tail.bytes.length === 0 || tail.bytes.at(-1) === 0x0a) return null
  const lastNewline = tail.bytes.lastIndexOf(0x0a)
  if (lastNewline < 0 && tail.start > 0)
    throw new BrokenChainError(path, 'ends in a line longer than any that is written')
  const torn = tail.bytes.subarray(lastNewline + 1)
  await truncate(path, tail.start + lastNewline + 1)
  return { file, bytes: torn.length, sha256: hashLine(torn) }
}

/**
 * The head of the chain in `segments` (healed before). Checks the last stretch of the last file, which holds whole whatever
 * was written but not yet flushed at a crash: a page lost there would otherwise be built upon.
 */
export async function readHead(segments: readonly Segment[], tailBytes: number): Promise<ChainHead> {
  const last = segments.at(-1)
  if (!last) return genesis
  const head = await readSegmentHead(last, tailBytes)
  if (head) return head
  // A crash between the making of a file and its first line. Its name says what must come next.
  const before = segments.at(-2)
  const headBefore = before ? await readSegmentHead(before, tailBytes) : genesis
  if (headBefore?.sequence !== last.firstSequence - 1) {
    throw new BrokenChainError(last.path, `the records before ${last.firstSequence} are not there`)
  }
  return headBefore
}

async function readSegmentHead(segment: Segment, tailBytes: number): Promise<ChainHead | null> {
  const tail = await readTail(segment.path, tailBytes)
  if (tail.bytes.length === 0) return null
  if (tail.bytes.at(-1) !== 0x0a) throw new BrokenChainError(segment.path, 'its last line has no end')
  // A window that begins inside the file begins inside a line, which is skipped.
  let at = tail.start === 0 ? 0 : tail.bytes.indexOf(0x0a) + 1
  let head: ChainHead | null = null
  while (at < tail.bytes.length) {
    const end = tail.bytes.indexOf(0x0a, at)
    const line = tail.bytes.subarray(at, end)
    const link = parseLine(line)
    if (typeof link === 'string')
      throw new BrokenChainError(segment.path, `a line after record ${head?.sequence ?? '?'} ${link}`)
    if (head && (link.sequence !== head.sequence + 1 || link.prev !== head.hash)) {
      throw new BrokenChainError(segment.path, `record ${link.sequence} does not follow record ${head.sequence}`)
    }
    if (at === 0 && link.sequence !== segment.firstSequence) {
      throw new BrokenChainError(segment.path, `begins with record ${link.sequence}`)
    }
    head = { sequence: link.sequence, hash: hashLine(line) }
    at = end + 1
  }
  return head
}

/** The last `bytes` of a file and where they start. */
export async function readTail(path: string, bytes: number): Promise<{ bytes: Buffer; start: number }> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const start = Math.max(0, size - bytes)
    const buffer = Buffer.alloc(size - start)
    let read = 0
    while (read < buffer.length) {
      const { bytesRead } = await handle.read(buffer, read, buffer.length - read, start + read)
      if (bytesRead === 0) break
      read += bytesRead
    }
    return { bytes: buffer.subarray(0, read), start }
  } finally {
    await handle.close()
  }
}
