// Reads a chain's checkpoints, verifying each where the audit's public keys are known.
import { canonicalJson, type Json } from '../core/canonical-json.js'
import type { CheckpointClaims } from './checkpoints.js'
import { readLines } from './read-lines.js'
import type { Problem } from './record-sequence.js'

/** Verifies a checkpoint's signature and returns its claims; throws when it is not one of ours. */
export type VerifyCheckpoint = (jwt: string) => Promise<Readonly<Record<string, unknown>>>

export interface Checkpoint {
  readonly claims: CheckpointClaims
  readonly line: number
}

export interface CheckpointSource {
  path: string
  /** As problems name it. */
  file: string
  /** How much of the file to read. */
  end: number
  verify: VerifyCheckpoint | null
  report(problem: Problem): void
}

/** Checkpoints in order; one that is no checkpoint is reported and left out, as is one out of order. */
export async function* readCheckpoints(source: CheckpointSource): AsyncGenerator<Checkpoint> {
  let sequence = 0
  for await (const line of readLines(source.path, source.end)) {
    const claims = line.terminated ? await parseCheckpoint(line.bytes.toString('utf8'), source.verify) : null
    // A running program may be in the middle of it.
    if (claims === null && !line.tooLong) continue
    const problem = findProblem(claims, sequence)
    if (problem !== null) source.report({ file: source.file, line: line.number, sequence, message: problem })
    if (typeof claims !== 'object' || claims === null || problem !== null) continue
    sequence = claims.seq
    yield { claims, line: line.number }
  }
}

function findProblem(claims: CheckpointClaims | string | null, previous: number): string | null {
  if (claims === null) return 'this line is longer than any checkpoint'
  if (typeof claims === 'string') return claims
  return claims.seq > previous ? null : `this checkpoint is over record ${claims.seq}, the one before over ${previous}`
}

async function parseCheckpoint(text: string, verify: VerifyCheckpoint | null): Promise<CheckpointClaims | string> {
  let claims: Readonly<Record<string, unknown>>
  try {
    const line = JSON.parse(text) as Json
    const jwt = (line as { jwt?: unknown }).jwt
    if (typeof jwt !== 'string' || canonicalJson({ jwt }) !== text) return 'this line is not a checkpoint'
    const parts = jwt.split('.')
    // The last character of base64url has bits that no decoder looks at.
    const isCanonical = parts.every((part) => Buffer.from(part, 'base64url').toString('base64url') === part)
    if (parts.length !== 3 || !isCanonical) return 'this line is not a checkpoint'
    claims = verify ? await verify(jwt) : decodeClaims(parts[1] ?? '')
  } catch (error) {
    return `this checkpoint does not verify: ${error instanceof Error ? error.message : String(error)}`
  }
  const { seq, hash, instance, time } = claims
  if (
    !Number.isSafeInteger(seq) ||
    typeof hash !== 'string' ||
    typeof instance !== 'string' ||
    typeof time !== 'string'
  ) {
    return 'this checkpoint does not say what it is over'
  }
  return { seq: seq as number, hash, instance, time }
}

function decodeClaims(payload: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>
}
