// The session policy: what a session may do at most, whatever its role may. The operator writes what is allowed; two
// denies of ours follow, so that STS's floor of 900 s and role chaining cannot outlive the lease.
import { deflateRawSync } from 'node:zlib'
import type { SettingProblem } from '../core/settings.js'
import type { JsonObject } from './provider.js'

/** STS refuses an inline session policy that is longer. */
export const maxPolicyCharacters = 2_048
// AWS packs policy and tags into the token by a scheme it does not publish, with a limit it states only in per cent. This
// bound refuses what surely would not fit; STS itself refuses the rest (PackedPolicyTooLarge) before it mints.
const maxPackedBytes = 1_400

const statementKeys = new Set(['Sid', 'Effect', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition'])

/** What is wrong with the shape of a session policy. Placeholders may still be in it. Paths start at the policy. */
export function validateSessionPolicy(policy: unknown): SettingProblem[] {
  if (!isObject(policy)) return [problem([], 'expected an IAM policy document: { Version, Statement }')]
  const problems = Object.keys(policy)
    .filter((key) => key !== 'Version' && key !== 'Statement')
    .map((key) => problem([key], 'is not part of a session policy'))
  if (policy.Version !== '2012-10-17') problems.push(problem(['Version'], 'expected "2012-10-17"'))
  const statements = policy.Statement
  if (!Array.isArray(statements) || statements.length === 0) {
    return [...problems, problem(['Statement'], 'expected a list of at least one statement')]
  }
  statements.forEach((statement, at) => {
    problems.push(...validateStatement(statement, ['Statement', at]))
  })
  if (!statements.some((statement) => isObject(statement) && statement.Effect === 'Allow')) {
    problems.push(
      problem(['Statement'], 'expected at least one statement with Effect: Allow, or the session can do nothing'),
    )
  }
  return problems
}

function validateStatement(statement: unknown, path: (string | number)[]): SettingProblem[] {
  if (!isObject(statement)) return [problem(path, 'expected a statement')]
  const problems = Object.keys(statement)
    .filter((key) => !statementKeys.has(key))
    .map((key) => problem([...path, key], 'is not part of a session policy statement'))
  const { Sid: sid, Effect: effect, Condition: condition } = statement
  if (sid !== undefined && !(typeof sid === 'string' && /^[A-Za-z0-9]*$/.test(sid))) {
    problems.push(problem([...path, 'Sid'], 'expected letters and digits'))
  }
  if (effect !== 'Allow' && effect !== 'Deny') problems.push(problem([...path, 'Effect'], 'expected Allow or Deny'))
  for (const name of ['Action', 'Resource']) {
    const given = [name, `Not${name}`].filter((key) => statement[key] !== undefined)
    if (given.length !== 1) problems.push(problem([...path, name], `expected exactly one of ${name} and Not${name}`))
    for (const key of given) {
      if (!isTexts(statement[key])) problems.push(problem([...path, key], 'expected a string or a list of strings'))
    }
  }
  if (condition !== undefined && !isObject(condition)) problems.push(problem([...path, 'Condition'], 'expected a map'))
  return problems
}

/**
 * The policy as STS gets it: the operator's statements, `Deny *` from the deadline on, and no way into another role.
 * The deadline (epoch ms) is cut to the whole second before, since IAM compares dates by the second.
 */
export function completeSessionPolicy(policy: JsonObject, deadline: number): string {
  const end = `${new Date(Math.floor(deadline / 1000) * 1000).toISOString().slice(0, 19)}Z`
  const statements = Array.isArray(policy.Statement) ? policy.Statement : []
  return JSON.stringify({
    Version: policy.Version,
    Statement: [
      ...statements,
      {
        Effect: 'Deny',
        Action: '*',
        Resource: '*',
        Condition: { DateGreaterThanEquals: { 'aws:CurrentTime': end } },
      },
      // A role taken from within the session would carry neither this policy nor its deadline.
      { Effect: 'Deny', Action: ['sts:AssumeRole*', 'sts:GetFederationToken'], Resource: '*' },
    ],
  })
}

/** What is wrong with the size or the characters of a completed policy with its tags, or null. */
export function findOversize(policy: string, tags: Readonly<Record<string, string>>): string | null {
  if (policy.length > maxPolicyCharacters) {
    return `the session policy has ${policy.length} characters with Hallpass's own denies; STS takes ${maxPolicyCharacters}`
  }
  if (!/^[\t\n\r\u0020-\u00ff]+$/.test(policy))
    return 'the session policy has characters beyond Latin-1, which STS refuses'
  const packed = deflateRawSync(policy + JSON.stringify(tags), { level: 9 }).length
  if (packed <= maxPackedBytes) return null
  return `session policy and tags pack to about ${packed} bytes, more than STS's token holds (${maxPackedBytes})`
}

function problem(path: (string | number)[], message: string): SettingProblem {
  return { path, message }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isTexts(value: unknown): boolean {
  if (typeof value === 'string') return value !== ''
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string' && item !== '')
}
