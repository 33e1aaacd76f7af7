// What the settings' paths mean before any value is looked at: which are secrets and which name files.
import { resolve } from 'node:path'
import type { Path } from './yaml-source.js'

/** `*` stands for any one step. */
const secretPaths: readonly string[][] = [
  ['keys', 'sealing'],
  ['tls', 'key'],
  ['proxy', 'secret'],
  ['redis', 'url'],
  ['redis', 'url', '*'],
  ['providers', '*', 'auth', 'secret_id'],
  ['approvals', 'webhook', 'secret'],
]

const filePaths: readonly string[][] = [
  ['keys', 'directory'],
  ['audit', 'directory'],
  ['policies'],
  ['issuers', '*', 'bundle', 'file'],
  ['issuers', '*', 'jwks', 'file'],
  ['providers', '*', 'auth', 'token_file'],
  ['providers', '*', 'auth', 'jwt_file'],
]

/** In front of the host, or in the query, where the client takes it as well. */
const redisPassword = /^[a-z+]+:\/\/[^/@]*:[^/@]+@|[?&]password=/i

/** Texts at these paths that are written out in the file although they are secrets. A Redis URL is one only with a password. */
export function literalSecrets(value: unknown, references: ReadonlySet<string>): Path[] {
  return secretPaths
    .flatMap((pattern) => pathsLike(value, pattern))
    .filter(({ path, text }) => {
      if (references.has(JSON.stringify(path))) return false
      return path[0] !== 'redis' || redisPassword.test(text)
    })
    .map(({ path }) => path)
}

/** The same value with relative paths taken from the folder of the file; changes it in place. */
export function resolveFilePaths(value: unknown, folder: string): void {
  for (const { path, text } of filePaths.flatMap((pattern) => pathsLike(value, pattern))) {
    const parent = path.slice(0, -1).reduce<unknown>((at, step) => memberOf(at, step), value)
    const last = path.at(-1)
    if (isRecord(parent) && typeof last === 'string') parent[last] = resolve(folder, text)
  }
}

function pathsLike(value: unknown, pattern: readonly string[], path: Path = []): { path: Path; text: string }[] {
  const [step, ...rest] = pattern
  if (step === undefined) return typeof value === 'string' && value !== '' ? [{ path, text: value }] : []
  if (typeof value !== 'object' || value === null) return []
  const steps = step === '*' ? Object.keys(value) : [step]
  return steps.flatMap((name) =>
    pathsLike(memberOf(value, name), rest, [...path, Array.isArray(value) ? Number(name) : name]),
  )
}

function memberOf(value: unknown, step: string | number): unknown {
  return isRecord(value) && Object.hasOwn(value, step) ? value[step] : undefined
}

function isRecord(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null
}
