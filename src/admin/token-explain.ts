// `hallpass token explain`: why the broker takes a token or does not. Offline unless told: a token from nobody knows where
// must not make this host call anybody. Prints neither the token nor its signature.
import { open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { exitCodes, UsageError } from '../cli/exit-codes.js'
import { loadConfig } from '../config/load.js'
import type { Environment } from '../config/yaml-source.js'
import { type Clock, systemClock } from '../core/clock.js'
import { type CheckResult, type Explanation, explainToken } from '../identity/explain-token.js'
import type { IssuersConfig } from '../identity/issuer-config.js'
import { createIssuers } from '../identity/issuers.js'
import type { CommandOutput } from './command-output.js'

export interface TokenExplainCommand {
  readonly config: string
  readonly env?: Environment
  /** A path; undefined or `-`: standard input. */
  readonly file: string | undefined
  /** Keys to check with in place of the configured ones. */
  readonly jwks?: string
  /** Fetch remote keys. */
  readonly online?: boolean
  readonly clock?: Clock
}

type Entry = IssuersConfig[string]

// A token is refused beyond 16 KiB; what is read of a file is only bounded so that its size can still be told apart.
const maxReadBytes = 64 * 1024

/** Returns the exit code: 0 accepted, 3 refused, 1 undecided because not every check could be made. */
export async function runTokenExplain(
  command: TokenExplainCommand,
  readStdin: () => Promise<string>,
  output: CommandOutput,
): Promise<number> {
  const { jwks, online = false } = command
  if (jwks !== undefined && online) throw new UsageError('token explain: --jwks or --online, not both')
  const { settings, file } = await loadConfig(command.config, command.env)
  const text = trimToken(await readToken(command.file, readStdin))
  const keys = jwks === undefined ? null : resolve(jwks)
  const issuers = createIssuers(online ? settings.issuers : offline(settings.issuers, keys), {
    clock: command.clock ?? systemClock,
    ourIssuer: settings.issuer,
    directory: dirname(resolve(file)),
  })
  const explanation = await explainToken(text, {
    issuers,
    ourIssuer: settings.issuer,
    keysWithheld({ name }) {
      const entry = settings.issuers[name]
      if (online || keys !== null || entry === undefined || hasKeysInFile(entry)) return null
      return 'its keys are remote and this is offline: --jwks FILE or --online'
    },
  })
  output.print(explanation, describe(explanation))
  return { accepted: exitCodes.done, refused: exitCodes.notAuthenticated, undecided: exitCodes.other }[
    explanation.verdict
  ]
}

async function readToken(file: string | undefined, readStdin: () => Promise<string>): Promise<string> {
  if (file === undefined || file === '-') return await readStdin()
  try {
    const opened = await open(file, 'r')
    try {
      const { buffer, bytesRead } = await opened.read({ buffer: Buffer.alloc(maxReadBytes) })
      // Byte by byte, as a header would bring it.
      return buffer.subarray(0, bytesRead).toString('latin1')
    } finally {
      await opened.close()
    }
  } catch (error) {
    throw new UsageError(`token explain: ${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`)
  }
}

/** What surrounds a token in a file, or in a header that was copied whole, is not the token's. */
function trimToken(text: string): string {
  return text
    .slice(0, maxReadBytes)
    .replace(/^\s*(?:authorization:\s*)?(?:bearer\s+)?/i, '')
    .trimEnd()
}

function hasKeysInFile(entry: Entry): boolean {
  if (entry.type === 'oidc') return entry.jwks !== undefined && 'file' in entry.jwks
  return typeof entry.bundle.file === 'string'
}

/** The same issuers with no way to the network: whatever is remote has the given file, or one that is not there. */
function offline(issuers: IssuersConfig, keys: string | null): IssuersConfig {
  const named = Object.entries(issuers).map(([name, entry]): [string, Entry] => {
    if (keys === null && hasKeysInFile(entry)) return [name, entry]
    const file = keys ?? '/nonexistent'
    return [name, entry.type === 'oidc' ? { ...entry, jwks: { file } } : { ...entry, bundle: { file } }]
  })
  return Object.fromEntries(named)
}

const marks = { pass: 'pass', fail: 'FAIL', not_made: '  - ' } as const

function describe({ verdict, issuer, checks, principal }: Explanation): string {
  const lines = checks.map(describeCheck)
  if (principal !== null) {
    const { id, account, instance, use, binding, attributes } = principal
    const derived = { principal: id, use, account, instance: instance ?? 'none', binding, ...prefixed(attributes) }
    lines.push('', verdict === 'accepted' ? 'It speaks for' : 'It would speak for (not proven)')
    lines.push(...Object.entries(derived).map(([name, value]) => `  ${name}: ${plain(value)}`))
  }
  const failures = checks.filter(({ result }) => result === 'fail').length
  const open = checks.filter(({ result }) => result === 'not_made').length
  const by = issuer === null ? '' : ` by issuer ${issuer}`
  const verdicts = {
    accepted: `accepted${by}`,
    refused: `refused${by}: ${failures} of ${checks.length} checks failed`,
    undecided: `undecided${by}: nothing failed, ${open} of ${checks.length} checks were not made`,
  }
  return [...lines, '', verdicts[verdict]].join('\n')
}

function describeCheck({ check, result, expected, seen, detail }: CheckResult): string {
  const first = `${marks[result]}  ${check.padEnd(10)}  ${plain(seen ?? 'nothing')}`
  if (result === 'pass') return first
  return [first, `      expected: ${plain(expected)}`, `      ${plain(detail ?? '')}`].join('\n')
}

const prefixed = (attributes: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`attribute ${name}`, JSON.stringify(value)]))

/** A claim must not move the cursor, turn the line around or begin another one. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}
