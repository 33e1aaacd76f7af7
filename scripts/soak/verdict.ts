// What must be true of the whole once it is over, from the providers' own lists, the ledger and the audit's files.
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Book } from './book.js'
import type { Ground } from './ground.js'
import type { LedgerView } from './ledger-view.js'
import type { Sighting } from './watch.js'

const lateMs = 5000
/** A list is read in parts; what ended while it was read may still be on it. */
const readingMs = 250

/** Everything that the sightings and the ledger tell together. */
export function judgeSightings(book: Book, sightings: readonly Sighting[], { leases }: LedgerView): void {
  for (const { provider, lease: id, last, refs } of sightings) {
    const lease = leases.get(id)
    if (lease === undefined) {
      book.wrong.push({ check: 'unknown', what: `${id || [...refs].join()} at ${provider}` })
      continue
    }
    if (refs.size > 1) book.wrong.push({ check: 'twice', what: `${id} at ${provider}: ${[...refs].join(', ')}` })
    const beyond = last - lease.expiresAt
    if (beyond > lateMs) book.wrong.push({ check: 'late', what: `${id} at ${provider}, by ${beyond} ms` })
    // Never minted, as far as anybody knows: a token whose making was never answered has no holder and ends by itself.
    if (lease.state === 'void') continue
    const claimedAt = lease.receipt?.outcome === 'confirmed' ? lease.endedAt : null
    const endedAt = Math.min(claimedAt ?? Number.POSITIVE_INFINITY, book.confirmed.get(id) ?? Number.POSITIVE_INFINITY)
    if (last > endedAt + readingMs)
      book.wrong.push({ check: 'claimed', what: `${id} at ${provider}, ${last - endedAt} ms after it` })
  }
}

/** A credential's own lifetime is never longer than its lease: what a resource server without Hallpass goes by. */
export function judgeTokens(book: Book, { leases }: LedgerView): void {
  for (const { lease: id, action, secret } of book.handed.values()) {
    const lease = leases.get(id)
    if (lease === undefined) book.wrong.push({ check: 'unknown', what: `${id} was handed out` })
    if (lease?.state === 'void') book.wrong.push({ check: 'claimed', what: `${id} was handed out and is void` })
    if (lease === undefined || (action !== 'report.read' && action !== 'offline.read')) continue
    const { exp } = JSON.parse(Buffer.from(secret.split('.')[1] ?? '', 'base64url').toString()) as { exp: number }
    if (exp * 1000 > lease.expiresAt + 1000)
      book.wrong.push({ check: 'late', what: `${id}'s token says ${exp * 1000 - lease.expiresAt} ms more` })
  }
  const secrets = new Set([...book.handed.values()].map(({ secret }) => secret))
  if (secrets.size < book.handed.size)
    book.wrong.push({ check: 'twice', what: `${book.handed.size - secrets.size} secrets went to two leases` })
}

interface Line {
  readonly event: string
  readonly lease?: string
  readonly task?: string
}

/** Every chain verified by the command, and every lease's story told. Returns the number of records. */
export async function judgeAudit(ground: Ground, book: Book, { leases }: LedgerView, seen: readonly Sighting[]) {
  const wrong = (what: string) => book.wrong.push({ check: 'audit', what })
  const directory = join(ground.directory, 'audit')
  const lines: Line[] = []
  for (const chain of readdirSync(directory)) {
    const verified = await verify(ground, join(directory, chain))
    if (verified.code !== 0) wrong(`audit verify ${chain}: ${verified.output}`)
    lines.push(...readChain(join(directory, chain)))
  }
  const told = (event: string) => new Set(lines.filter((line) => line.event === event).map(({ lease }) => lease))
  const [reserved, issued, ended] = [told('lease.reserved'), told('lease.issued'), told('lease.ended')]
  const opened = new Set(lines.filter(({ event }) => event === 'task.opened').map(({ task }) => task))
  for (const id of leases.keys()) if (!ended.has(id)) wrong(`${id} has no lease.ended`)
  for (const id of book.handed.keys()) {
    if (!reserved.has(id)) wrong(`${id} was handed out without lease.reserved`)
    if (!issued.has(id)) wrong(`${id} was handed out without lease.issued`)
  }
  for (const { lease } of seen) if (!reserved.has(lease)) wrong(`${lease} was minted without lease.reserved`)
  for (const id of reserved) if (id !== undefined && !leases.has(id)) wrong(`${id} is not in the ledger`)
  for (const task of book.tasks) if (!opened.has(task)) wrong(`${task} has no task.opened`)
  return lines.length
}

const readChain = (directory: string): Line[] =>
  readdirSync(directory)
    .filter((file) => /^[0-9]+\.jsonl$/.test(file))
    .flatMap((file) => readFileSync(join(directory, file), 'utf8').split('\n').slice(0, -1))
    .map((line) => JSON.parse(line) as Line)

function verify({ hallpass, directory }: Ground, chain: string): Promise<{ code: number; output: string }> {
  const args = [hallpass, 'audit', 'verify', chain, '--config', join(directory, 'serve-1.yaml')]
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: `${stdout}${stderr}`.slice(0, 500) }),
    )
  })
}
