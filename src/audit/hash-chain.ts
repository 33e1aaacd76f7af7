// One record, one line: RFC 8785 canonical JSON that names the hash of the line before. Whoever changes, drops, inserts
// or swaps a line has to rewrite every later one, and the signed checkpoints besides.
import { hash } from 'node:crypto'
import { canonicalJson, type Json } from '../core/canonical-json.js'
import type { AuditRecord } from './record.js'

/** The end of a chain: sequence and hash of its last record. */
export interface ChainHead {
  readonly sequence: number
  readonly hash: string
}

/** What stands before the first record, whose sequence is 1. */
export const genesis: ChainHead = { sequence: 0, hash: '0'.repeat(64) }

/** Longer lines are neither written nor believed: a reader can then bound its memory. */
export const maxLineBytes = 1 << 20

export interface SealedLine {
  /** With its newline, UTF-8. */
  readonly bytes: Buffer
  readonly head: ChainHead
}

/** What a reader needs of a line; everything else in it is the event's own. */
export interface ChainLink {
  readonly sequence: number
  readonly prev: string
  readonly instance: string
}

/**
 * Puts a record behind `head`. `time` is RFC 3339. Throws TypeError for a value without a JSON form and RangeError for a
 * line over `maxLineBytes`: mistakes of the caller, found before the record has taken a place in the chain.
 */
export function sealRecord(record: AuditRecord, head: ChainHead, instance: string, time: string): SealedLine {
  const sequence = head.sequence + 1
  const bytes = Buffer.from(`${canonicalJson({ ...record, instance, prev: head.hash, seq: sequence, time })}\n`)
  if (bytes.length > maxLineBytes) throw new RangeError(`an audit record of ${bytes.length} bytes`)
  return { bytes, head: { sequence, hash: hashLine(bytes.subarray(0, -1)) } }
}

/** Lower-case hex SHA-256 of a line without its newline. Of the bytes, not of a decoded text: decoding may lose a change. */
export function hashLine(line: Uint8Array): string {
  return hash('sha256', line, 'hex')
}

/** Reads one line (without newline); a text says what is wrong with it. Says nothing about what stands around it. */
export function parseLine(line: Buffer): ChainLink | string {
  let record: unknown
  const text = line.toString('utf8')
  try {
    record = JSON.parse(text)
  } catch {
    return 'is not JSON'
  }
  if (typeof record !== 'object' || record === null || Array.isArray(record)) return 'is not a JSON object'
  const { seq, prev, instance, time, event } = record as Record<string, unknown>
  if (!Number.isSafeInteger(seq) || (seq as number) < 1) return 'has no sequence'
  if (typeof prev !== 'string' || !/^[0-9a-f]{64}$/.test(prev)) return 'has no hash of the line before'
  if (typeof instance !== 'string' || typeof time !== 'string' || typeof event !== 'string') return 'is not a record'
  // A duplicate member or other spelling of the same value would let two readers see two records in one line.
  if (canonicalJson(record as Json) !== text) return 'is not canonical JSON'
  return { sequence: seq as number, prev, instance }
}
