// A policy that comes while leases live, and goes again: what it forbids has to end and the rest to live on, whoever is killed.
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Lease } from '../../../src/api/leases.js'
import { lookIntoLedger, until } from '../wire-checks.js'
import type { Ground } from './ground.js'

/** A turn that was left behind ends by itself after 10 s, and a program starts in a few: twice, and time to judge. */
const atMostSeconds = 40

const banOf = (repository: string) => `@id("banned")
forbid (principal, action == Action::"report.read", resource)
when { principal has repository_id && principal.repository_id == "${repository}" };
`
const fileOf = ({ stack }: Ground) => join(stack.directory, 'policies', 'banned.cedar')

/** Does `work` while this repository may read no reports. Resolves when every program decides as before, and all is judged. */
export async function whileBanned(ground: Ground, repository: string, work: () => Promise<void>): Promise<void> {
  const file = fileOf(ground)
  const before = await inForce(ground)
  writeFileSync(`${file}.new`, banOf(repository))
  renameSync(`${file}.new`, file)
  let banned = before
  try {
    banned = await untilAllJudged(ground, before)
    await work()
  } finally {
    rmSync(file)
    await untilAllJudged(ground, banned)
  }
}

async function rulesOf(ground: Ground): Promise<Record<string, string>> {
  const ledger = lookIntoLedger(ground.stack)
  try {
    return await ledger.redis.hgetall(ledger.key('rules'))
  } finally {
    ledger.close()
  }
}

const inForce = async (ground: Ground) => (await rulesOf(ground)).current ?? ''

/** Until other rules than `before` are in force, each program has said that it decides by them, and they were judged by. */
async function untilAllJudged(ground: Ground, before: string): Promise<string> {
  const isOver = ({ current, state, ...rest }: Record<string, string>) =>
    current !== before &&
    state === 'done' &&
    Object.entries(rest).every(([name, hash]) => !name.startsWith('i:') || hash === current)
  return (await until(() => rulesOf(ground), isOver, atMostSeconds)).current ?? ''
}

/** What is wrong with the leases while the ban stands. */
export async function problemsUnderBan(
  ground: Ground,
  token: string,
  { banned, permitted }: { banned: string; permitted: string },
): Promise<string[]> {
  const look = async (lease: string) =>
    (await ground.persist('GET', `/v1/leases/${lease}`, { token })).body as unknown as Lease
  const over = await until(
    () => look(banned),
    ({ state }) => state !== 'active' && state !== 'revoking',
    atMostSeconds,
  )
  const other = await look(permitted)
  const said = ground.stack
    .auditRecords()
    .some((one) => one.event === 'lease.redecided' && one.lease === banned && String(one.policies) === 'banned')
  return [
    ...(over.end_reason === 'policy_changed'
      ? []
      : [`${banned} ended as ${over.end_reason}, not for the changed rules`]),
    ...(said ? [] : [`${banned} ended without a record of why`]),
    ...(other.state === 'active' ? [] : [`${permitted} is permitted, and ${other.state}`]),
  ]
}
