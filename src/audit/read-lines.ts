// Lines of a file as bytes, however large the file is.
import { open } from 'node:fs/promises'
import { maxLineBytes } from './hash-chain.js'

export interface FileLine {
  /** From 1. */
  readonly number: number
  /** Without its newline. */
  readonly bytes: Buffer
  /** Whether a newline ended it; only a file's last line may lack one. */
  readonly terminated: boolean
  /** Longer than any line that is written: `bytes` is only its beginning, and nothing follows. */
  readonly tooLong: boolean
}

/**
 * Reads `path` line by line up to byte `end` (default: its size when reading began), in memory of one line and one block.
 * Ends after a line that is too long: it is no line of ours, and its end may be a file's length away.
 */
export async function* readLines(path: string, end?: number): AsyncGenerator<FileLine> {
  const handle = await open(path, 'r')
  try {
    const limit = end ?? (await handle.stat()).size
    const block = Buffer.alloc(256 * 1024)
    let rest = Buffer.alloc(0)
    let number = 0
    for (let position = 0; position < limit; ) {
      const { bytesRead } = await handle.read(block, 0, Math.min(block.length, limit - position), position)
      if (bytesRead === 0) break
      position += bytesRead
      const bytes = Buffer.concat([rest, block.subarray(0, bytesRead)])
      let at = 0
      for (let newline = bytes.indexOf(0x0a); newline >= 0; newline = bytes.indexOf(0x0a, at)) {
        yield {
          number: ++number,
          bytes: bytes.subarray(at, newline),
          terminated: true,
          tooLong: newline - at > maxLineBytes,
        }
        at = newline + 1
      }
      rest = bytes.subarray(at)
      if (rest.length > maxLineBytes) {
        yield { number: ++number, bytes: rest, terminated: false, tooLong: true }
        return
      }
    }
    if (rest.length > 0) yield { number: ++number, bytes: rest, terminated: false, tooLong: false }
  } finally {
    await handle.close()
  }
}
