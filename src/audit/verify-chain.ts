// Verifies audit chains from their files alone: no Redis, no lock, beside running programs.
import { readdir, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import type { ChainHead } from './hash-chain.js'
import { type Checkpoint, readCheckpoints, type VerifyCheckpoint } from './read-checkpoints.js'
import { readLines } from './read-lines.js'
import { type Place, type Problem, RecordSequence } from './record-sequence.js'
import { checkpointsFile, listSegments, type Segment } from './segments.js'

export interface VerifyOptions {
  /** Checks checkpoints' signatures; without it they are compared with the records but not verified, and a note says so. */
  verifyCheckpoint?: VerifyCheckpoint
  /** Chain → a record that the ledger was told of; read before the files are, which go on growing. */
  acknowledged?: ReadonlyMap<string, number>
}

export interface AuditVerification {
  ok: boolean
  chains: number
  segments: number
  records: number
  checkpoints: number
  /** At most 1,000; a note says when there are more. */
  problems: Problem[]
  notes: string[]
}

const maxProblems = 1000

/** `directory`: one chain's folder, or one that holds chains' folders. Throws the file system's error when it cannot be read. */
export async function verifyAuditDirectory(directory: string, options: VerifyOptions = {}): Promise<AuditVerification> {
  const root = resolve(directory)
  const result: AuditVerification = {
    ok: true,
    chains: 0,
    segments: 0,
    records: 0,
    checkpoints: 0,
    problems: [],
    notes: [],
  }
  const folders = (await isChain(root)) ? [''] : await findChains(root)
  // An emptied directory must not pass for an intact audit.
  if (folders.length === 0) report(result, { file: '.', line: 0, sequence: 0, message: 'there is no audit here' })
  for (const folder of folders) await new ChainVerifier(root, folder, options, result).run()
  noteElsewhere(
    options,
    folders.map((folder) => folder || basename(root)),
    result,
  )
  if (!options.verifyCheckpoint)
    result.notes.push('signatures of checkpoints were not checked: no audit keys were given')
  result.ok = result.problems.length === 0
  return result
}

/** A folder is one host's, a ledger many hosts': what is not here may be there, or gone. */
function noteElsewhere({ acknowledged }: VerifyOptions, here: readonly string[], { notes }: AuditVerification): void {
  for (const [chain, sequence] of acknowledged ?? []) {
    if (!here.includes(chain)) notes.push(`${chain}: the ledger knows its records up to ${sequence}; it is not here`)
  }
}

function report(result: AuditVerification, problem: Problem): void {
  if (result.problems.length < maxProblems) result.problems.push(problem)
  else if (!result.notes.includes(tooMany)) result.notes.push(tooMany)
}

const tooMany = `more than ${maxProblems} problems were found; only these are listed`

async function isChain(directory: string): Promise<boolean> {
  const names = await readdir(directory)
  return names.includes(checkpointsFile) || (await listSegments(directory)).length > 0
}

async function findChains(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true })
  const folders: string[] = []
  for (const entry of entries)
    if (entry.isDirectory() && (await isChain(join(root, entry.name)))) folders.push(entry.name)
  return folders.sort()
}

class ChainVerifier {
  readonly #directory: string
  readonly #folder: string
  readonly #options: VerifyOptions
  readonly #result: AuditVerification
  readonly #sequence: RecordSequence
  /** Records that were accepted since checkpoints were last compared. */
  #accepted: { head: ChainHead; place: Place }[] = []
  #lastCheckpoint: Checkpoint | null = null

  constructor(root: string, folder: string, options: VerifyOptions, result: AuditVerification) {
    this.#directory = join(root, folder)
    this.#folder = folder
    this.#options = options
    this.#result = result
    this.#sequence = new RecordSequence(
      (problem) => report(result, problem),
      (head, place) => this.#accepted.push({ head, place }),
    )
  }

  async run(): Promise<void> {
    this.#result.chains++
    // Its size is taken before the records are read: whatever a checkpoint speaks of was on disk before it.
    const checkpoints = this.#checkpoints(await sizeOf(join(this.#directory, checkpointsFile)))
    let next = await checkpoints.next()
    const segments = await listSegments(this.#directory)
    for (const segment of segments) {
      this.#result.segments++
      for await (const line of readLines(segment.path)) {
        this.#takeLine(line, segment, segment === segments.at(-1))
        while (this.#accepted.length > 0 && !next.done && this.#compare(next.value)) next = await checkpoints.next()
        this.#accepted = []
      }
    }
    this.#sequence.finish()
    while (!next.done) {
      if (!this.#compare(next.value)) this.#reportCut(next.value, segments)
      next = await checkpoints.next()
    }
    this.#noteTail()
  }

  #takeLine(line: Parameters<RecordSequence['take']>[0], segment: Segment, isLast: boolean): void {
    const file = join(this.#folder, segment.file)
    if (!line.terminated && !line.tooLong) {
      const place = { file, line: line.number, sequence: this.#sequence.expected }
      if (!isLast) report(this.#result, { ...place, message: 'this line has no end, and another file follows' })
      else
        this.#result.notes.push(
          `${file}:${line.number}: the last line has no end yet: being written, or torn by a crash`,
        )
      return
    }
    if (line.number === 1 && segment.firstSequence !== this.#sequence.expected) {
      const message = `this file is named for record ${segment.firstSequence}, and record ${this.#sequence.expected} is next`
      report(this.#result, { file, line: 1, sequence: this.#sequence.expected, message })
    }
    this.#result.records++
    this.#sequence.take(line, file)
  }

  async *#checkpoints(end: number): AsyncGenerator<Checkpoint> {
    if (end === 0) return
    const source = {
      path: join(this.#directory, checkpointsFile),
      file: join(this.#folder, checkpointsFile),
      end,
      verify: this.#options.verifyCheckpoint ?? null,
      report: (problem: Problem) => report(this.#result, problem),
    }
    for await (const checkpoint of readCheckpoints(source)) {
      this.#result.checkpoints++
      yield checkpoint
    }
  }

  /** Whether the checkpoint is dealt with: the records have come as far as the one that it is over. */
  #compare(checkpoint: Checkpoint): boolean {
    const { seq, hash, instance } = checkpoint.claims
    const over = this.#accepted.find(({ head }) => head.sequence >= seq)
    if (!over) return false
    this.#lastCheckpoint = checkpoint
    const from = `the checkpoint on line ${checkpoint.line}`
    const problem = (message: string) => report(this.#result, { ...over.place, sequence: seq, message })
    if (over.head.sequence > seq) problem(`record ${seq}, which ${from} signed for, does not stand in its place`)
    else if (over.head.hash !== hash) problem(`record ${seq} is not the one that ${from} signed for`)
    if (this.#sequence.instance !== instance)
      problem(`${from} is of ${instance}, the chain is of ${this.#sequence.instance}`)
    return true
  }

  #reportCut(checkpoint: Checkpoint, segments: readonly Segment[]): void {
    const { head, place } = this.#sequence
    const file = place?.file ?? join(this.#folder, segments.at(-1)?.file ?? checkpointsFile)
    const { seq, time } = checkpoint.claims
    const message = `the records from ${head.sequence + 1} to ${seq}, signed for at ${time}, are cut off the end`
    report(this.#result, { file, line: (place?.line ?? 0) + 1, sequence: head.sequence + 1, message })
  }

  #noteTail(): void {
    const name = this.#folder === '' ? basename(this.#directory) : this.#folder
    const { head, instance } = this.#sequence
    const signed = this.#lastCheckpoint?.claims.seq ?? 0
    if (instance !== null && /-(serve|worker|dev|local)$/.test(name) && instance !== name) {
      const message = `this folder is of ${name}, its records are of ${instance}`
      report(this.#result, { file: this.#folder === '' ? '.' : this.#folder, line: 0, sequence: 1, message })
    }
    const unsigned = head.sequence > signed ? `${head.sequence - signed} records come after it; ` : ''
    const last = `${name}: the last checkpoint is over record ${signed}; ${unsigned}`
    this.#result.notes.push(`${last}${this.#againstLedger(instance ?? name)}`)
  }

  #againstLedger(chain: string): string {
    const { acknowledged } = this.#options
    if (acknowledged === undefined)
      return 'a cut after it shows only against the ledger or a witness (--against-ledger)'
    const known = acknowledged.get(chain)
    if (known === undefined) return 'the ledger knows nothing of this chain'
    const { head } = this.#sequence
    if (known > head.sequence) this.#reportMissing(head.sequence + 1, known)
    return `the ledger knows its records up to ${known}`
  }

  #reportMissing(first: number, last: number): void {
    const { place } = this.#sequence
    const message = `the records from ${first} to ${last}, which the ledger was told of, are cut off the end`
    const file = place?.file ?? join(this.#folder, checkpointsFile)
    report(this.#result, { file, line: (place?.line ?? 0) + 1, sequence: first, message })
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
    throw error
  }
}
