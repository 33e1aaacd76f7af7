import { createHash, hash, timingSafeEqual } from 'node:crypto'

/** SHA-256 of the UTF-8 bytes, lower-case hex. */
export function sha256Hex(text: string): string {
  return hash('sha256', text, 'hex')
}

/** Compares two texts without the time telling where they differ: their hashes are compared, so lengths do not show either. */
export function equalInConstantTime(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest())
}
