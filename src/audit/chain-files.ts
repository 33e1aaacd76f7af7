// The files that one chain is written to. Knows nothing of records or of waiting callers: bytes in, flushed or thrown.
import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { makeFolder } from '../core/make-folder.js'
import { syncDirectory } from '../core/sync-directory.js'
import { type ChainHead, maxLineBytes } from './hash-chain.js'
import {
  BrokenChainError,
  checkpointsFile,
  cutTornLine,
  type Healed,
  listSegments,
  readHead,
  readTail,
} from './segments.js'

/** No flush carries more: what a crash can leave half-written is then bounded, and is looked at when the chain is opened. */
export const maxBatchBytes = 1 << 20
const checkedTailBytes = 2 * (maxBatchBytes + maxLineBytes)

export interface OpenedChain {
  readonly files: ChainFiles
  readonly head: ChainHead
  readonly healed: readonly Healed[]
  /** How far the last checkpoint goes; 0 without one. */
  readonly signedSequence: number
}

export class ChainFiles {
  readonly #directory: string
  readonly #segmentBytes: number
  #segment: FileHandle | null
  #size: number
  #checkpoints: FileHandle | null = null
  /** Flushes made since the chain was opened, for the group commit's figures. */
  flushes = 0

  private constructor(directory: string, segmentBytes: number, segment: FileHandle | null, size: number) {
    this.#directory = directory
    this.#segmentBytes = segmentBytes
    this.#segment = segment
    this.#size = size
  }

  /** Opens the chain for appending; the caller holds its lock. Cuts torn lines; throws BrokenChainError for worse. */
  static async open(directory: string, segmentBytes: number): Promise<OpenedChain> {
    const segments = await listSegments(directory)
    const last = segments.at(-1)
    const cuts = last ? [await cutTornLine(last.path, last.file)] : []
    const head = await readHead(segments, checkedTailBytes)
    const { cut, signedSequence } = await healCheckpoints(directory, head)
    cuts.push(cut)
    const segment = last ? await open(last.path, 'a') : null
    const size = last ? (await stat(last.path)).size : 0
    const files = new ChainFiles(directory, segmentBytes, segment, size)
    return { files, head, healed: cuts.filter((torn) => torn !== null), signedSequence }
  }

  /** Appends whole lines, the first of them being record `firstSequence`; resolves once they are on disk. */
  async append(lines: Uint8Array, firstSequence: number): Promise<void> {
    if (!this.#segment || this.#size >= this.#segmentBytes) await this.#beginSegment(firstSequence)
    const segment = this.#segment
    if (!segment) throw new Error('no segment is open')
    await writeWhole(segment, lines)
    this.#size += lines.length
    await segment.datasync()
    this.flushes++
  }

  /** Appends one checkpoint line; resolves once it is on disk. */
  async appendCheckpoint(line: Uint8Array): Promise<void> {
    const path = join(this.#directory, checkpointsFile)
    if (!this.#checkpoints) {
      this.#checkpoints = await open(path, 'a', 0o600)
      await cutTornLine(path, checkpointsFile)
      await syncDirectory(this.#directory)
    }
    try {
      await writeWhole(this.#checkpoints, line)
      await this.#checkpoints.datasync()
    } catch (error) {
      // Half a line may stand there now; it is cut before the next one is written behind it.
      await this.#checkpoints.close().catch(() => {})
      this.#checkpoints = null
      throw error
    }
  }

  async #beginSegment(firstSequence: number): Promise<void> {
    const path = join(this.#directory, `${firstSequence}.jsonl`)
    // `ax`: a file of that name would hold records that nobody knows of.
    const next = await open(path, 'ax', 0o600)
    await this.#segment?.close().catch(() => {})
    this.#segment = next
    this.#size = 0
    await syncDirectory(this.#directory)
  }

  async close(): Promise<void> {
    await this.#segment?.close().catch(() => {})
    await this.#checkpoints?.close().catch(() => {})
    this.#segment = null
    this.#checkpoints = null
  }
}

/** Makes the chain's folder and sees that its name survives a power cut. */
export async function createChainDirectory(directory: string): Promise<void> {
  await makeFolder(directory)
  await syncDirectory(dirname(directory))
}

async function healCheckpoints(
  directory: string,
  head: ChainHead,
): Promise<{ cut: Healed | null; signedSequence: number }> {
  const path = join(directory, checkpointsFile)
  try {
    const cut = await cutTornLine(path, checkpointsFile)
    const signed = await readLastCheckpoint(path)
    // Records are flushed before a checkpoint over them is signed, so less than was signed means that some were lost.
    if (signed && signed.sequence > head.sequence) {
      throw new BrokenChainError(
        path,
        `record ${signed.sequence} was signed for and the last one there is ${head.sequence}`,
      )
    }
    if (signed && signed.sequence === head.sequence && signed.hash !== head.hash) {
      throw new BrokenChainError(path, `record ${head.sequence} is not the one that was signed for`)
    }
    return { cut, signedSequence: signed?.sequence ?? 0 }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { cut: null, signedSequence: 0 }
    throw error
  }
}

/** Reads the claims of the last checkpoint without verifying them: a writer looks for accidents, the verifier for malice. */
async function readLastCheckpoint(path: string): Promise<ChainHead | null> {
  const { bytes } = await readTail(path, 64 * 1024)
  const line = bytes.toString('utf8').trimEnd().split('\n').at(-1) ?? ''
  if (line === '') return null
  try {
    const { jwt } = JSON.parse(line) as { jwt: string }
    const claims = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<
      string,
      unknown
    >
    return { sequence: Number(claims.seq), hash: String(claims.hash) }
  } catch {
    throw new BrokenChainError(path, 'its last line is not a checkpoint')
  }
}

async function writeWhole(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written)
    if (bytesWritten === 0) throw new Error('nothing could be written')
    written += bytesWritten
  }
}
