// Prefixed ids: prefix, underscore, 26 characters [0-9a-z]: 10 of time (so ids sort by age) and 16 of randomness.
import { randomFillSync } from 'node:crypto'

export type IdPrefix = 'task' | 'lease' | 'dec' | 'appr' | 'dlg' | 'lock' | 'rev' | 'req'

// Crockford's alphabet in lower case: 32 characters, so five bits each and no modulo bias.
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** A new id, 80 bits of it random. `now` is epoch milliseconds. */
export function createId(prefix: IdPrefix, now: number): string {
  let time = ''
  for (let rest = now, i = 0; i < 10; i++) {
    time = alphabet.charAt(rest % 32) + time
    rest = Math.floor(rest / 32)
  }
  let random = ''
  for (let i = 0; i < 16; i++) random += alphabet.charAt(nextRandomByte() & 31)
  return `${prefix}_${time}${random}`
}

// Drawn 4 KiB at a time: a call into the system per id was 3 % of an exchange. Each byte is used once.
const pool = new Uint8Array(4096)
let used = pool.length

function nextRandomByte(): number {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const byte = pool[used] ?? 0
  pool[used++] = 0
  return byte
}

/** Epoch milliseconds at which an id was made, by its maker's clock; NaN for a text that is none. */
export function createdAt(id: string): number {
  let time = 0
  for (const digit of id.slice(id.indexOf('_') + 1).slice(0, 10)) {
    const value = alphabet.indexOf(digit)
    if (value < 0) return Number.NaN
    time = time * 32 + value
  }
  return time
}

/** Whether `text` has the shape of an id with this prefix; says nothing about whether it exists. */
export function isId(prefix: IdPrefix, text: string): boolean {
  return text.length === prefix.length + 27 && text.startsWith(`${prefix}_`) && /^[0-9a-z]{26}$/.test(text.slice(-26))
}
