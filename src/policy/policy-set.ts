// A policy set is taken whole or not at all: parsed, validated strictly against the schema, every annotation readable.
import { setImmediate } from 'node:timers/promises'
import { canonicalJson } from '../core/canonical-json.js'
import { sha256Hex } from '../core/hash.js'
import { type DetailedError, policyToJson, type ValidationError, validate } from './cedar.js'
import { type Policy, readPolicy } from './policy.js'
import { depthOf, maxPolicyDepth } from './policy-depth.js'
import { fromByteOffset, placeAt, splitPolicies } from './policy-text.js'

export interface PolicyProblem {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly message: string
}

/** Why a set was refused: every problem found, in the order of files and lines. */
export class PolicySetError extends Error {
  readonly problems: readonly PolicyProblem[]
  constructor(problems: readonly PolicyProblem[]) {
    super(problems.map((problem) => `${problem.file}:${problem.line}: ${problem.message}`).join('\n'))
    this.name = 'PolicySetError'
    this.problems = problems
  }
}

export interface PolicySet {
  /** SHA-256 of the canonical JSON of `{path: text}`. */
  readonly hash: string
  readonly files: Readonly<Record<string, string>>
  readonly policies: readonly Policy[]
  /** What validates and yet is hardly meant, such as a policy that can never apply. */
  readonly warnings: readonly PolicyProblem[]
}

export interface PolicyRules {
  /** The generated Cedar schema; null for a set that was validated when it was taken into force (I10). */
  readonly schema: string | null
  /** Names of `groups:`. */
  readonly groups: Pick<ReadonlySet<string>, 'has'>
  /** Actions, and access classes, of grants that themselves demand an approval; none unless told. */
  readonly approved?: Pick<ReadonlySet<string>, 'has' | 'size'>
}

/** For a kept set: the schema and the groups of its day are not kept, and it was held against them then. */
export const asTakenThen: PolicyRules = {
  schema: null,
  groups: { has: () => true },
  approved: { has: () => true, size: 1 },
}

interface Source {
  readonly file: string
  readonly fileText: string
  readonly text: string
  readonly start: number
  readonly line: number
}

export interface Pace {
  /** Policies that are read, and validated, before other requests get their turn. */
  readonly read: number
  readonly validate: number
}

// A reload of ten thousand policies takes seconds. Validation parses the schema anew each time, so its chunks are larger.
const reloading: Pace = { read: 200, validate: 1_000 }
/** For sets that are small and that anybody may send at any time: each turn takes some ten milliseconds. */
export const besideRequests: Pace = { read: 20, validate: 100 }

/**
 * Texts of policy files, by path, to a policy set. Throws PolicySetError naming every problem when anything is wrong;
 * there is no half of a set.
 */
export async function parsePolicySet(
  files: Readonly<Record<string, string>>,
  rules: PolicyRules,
  pace = reloading,
): Promise<PolicySet> {
  const problems: PolicyProblem[] = []
  const sources = Object.entries(files).flatMap(([file, fileText]) =>
    splitPolicies(fileText).map((policy): Source => ({ ...policy, file, fileText })),
  )
  if (sources.length === 0) {
    problems.push({
      file: Object.keys(files)[0] ?? '*.cedar',
      line: 1,
      column: 1,
      message: 'expected at least one policy',
    })
  }
  const read = await readSources(sources, rules, problems, pace.read)
  checkIds(read, problems)
  const warnings: PolicyProblem[] = []
  if (problems.length === 0 && rules.schema !== null)
    await validateSources(read, rules.schema, problems, warnings, pace.validate)
  if (problems.length > 0) throw new PolicySetError(inOrder(problems))
  return {
    hash: sha256Hex(canonicalJson(files)),
    files,
    policies: read.map(({ policy }) => policy),
    warnings: inOrder(warnings),
  }
}

async function readSources(
  sources: readonly Source[],
  { groups, approved }: PolicyRules,
  problems: PolicyProblem[],
  readChunk: number,
): Promise<{ policy: Policy; source: Source }[]> {
  const read: { policy: Policy; source: Source }[] = []
  for (const [index, source] of sources.entries()) {
    if (index % readChunk === readChunk - 1) await setImmediate()
    const { file, fileText, text, start, line } = source
    if (depthOf(text) > maxPolicyDepth) {
      problems.push({ file, line, column: 1, message: tooDeep })
      continue
    }
    const answer = policyToJson(text)
    if (answer.type === 'failure') {
      for (const error of answer.errors) problems.push(problemIn(source, error))
      continue
    }
    const { policy, faults } = readPolicy(answer.json, { text, file, line }, groups, approved)
    if (policy !== null) read.push({ policy, source })
    for (const fault of faults) {
      const at = fault.near === '' ? 0 : Math.max(text.indexOf(fault.near), 0)
      problems.push({ file, ...placeAt(fileText, start + at), message: fault.message })
    }
  }
  return read
}

const tooDeep = `nests more than ${maxPolicyDepth} deep; expected a set, as in [...].contains(...), or several policies`

function checkIds(read: readonly { policy: Policy }[], problems: PolicyProblem[]): void {
  const first = new Map<string, Policy>()
  for (const { policy } of read) {
    const earlier = first.get(policy.id)
    if (earlier === undefined) first.set(policy.id, policy)
    else {
      const message = `@id ${JSON.stringify(policy.id)} is also at ${earlier.file}:${earlier.line}; expected it once`
      problems.push({ file: policy.file, line: policy.line, column: 1, message })
    }
  }
}

async function validateSources(
  read: readonly { policy: Policy; source: Source }[],
  schema: string,
  problems: PolicyProblem[],
  warnings: PolicyProblem[],
  validateChunk: number,
): Promise<void> {
  for (let from = 0; from < read.length; from += validateChunk) {
    const chunk = read.slice(from, from + validateChunk)
    const sources = new Map(chunk.map(({ policy, source }) => [policy.id, source]))
    const staticPolicies = Object.fromEntries(chunk.map(({ policy }) => [policy.id, policy.text]))
    const answer = validate({ schema, policies: { staticPolicies }, validationSettings: { mode: 'strict' } })
    if (answer.type === 'failure') {
      const at = chunk[0]?.source.file ?? '*.cedar'
      for (const error of answer.errors) problems.push({ file: at, line: 1, column: 1, message: describe(error) })
      return
    }
    const toProblem = ({ policyId, error }: ValidationError): PolicyProblem[] => {
      const source = sources.get(policyId)
      return source === undefined ? [] : [problemIn(source, error)]
    }
    problems.push(...answer.validationErrors.flatMap(toProblem))
    warnings.push(...answer.validationWarnings.flatMap(toProblem))
    await setImmediate()
  }
}

function problemIn(source: Source, error: DetailedError): PolicyProblem {
  const place = placeAt(source.fileText, source.start + offsetOf(error, source.text))
  return { file: source.file, ...place, message: describe(error) }
}

function offsetOf(error: DetailedError, text: string): number {
  return fromByteOffset(text, error.sourceLocations?.[0]?.start ?? 0)
}

function describe(error: DetailedError): string {
  const expected = error.sourceLocations?.[0]?.label
  return [error.message, expected, error.help]
    .flatMap((part) => (part ? [part.replace(/^for policy `[^`]*`, /, '')] : []))
    .join('; ')
}

function inOrder(problems: readonly PolicyProblem[]): PolicyProblem[] {
  const name = (problem: PolicyProblem) => problem.file
  return [...problems].sort((a, b) =>
    name(a) === name(b) ? a.line - b.line || a.column - b.column : name(a) < name(b) ? -1 : 1,
  )
}
