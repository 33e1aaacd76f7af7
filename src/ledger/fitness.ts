// Redis as the ledger needs it: of a version that is known to work, never evicting, persistent, in time.
import { clockToleranceMs } from '../core/clock.js'
import type { Connection } from './connection.js'
import { ledgerTag } from './keys.js'

const oldestVersion = 6.2

export interface Fitness {
  readonly version: string
  /** With these it must not be used: leases would vanish, or scripts fail halfway. */
  readonly refusals: readonly string[]
  /** With these it may be used, and an operator has to know. */
  readonly warnings: readonly string[]
}

/**
 * `now`: our time of day, epoch milliseconds. `prefix`: the ledger's; in a cluster it says whose replicas count. Throws Redis's
 * error when it does not answer.
 */
export async function examineRedis(redis: Connection, now: () => number, prefix = ''): Promise<Fitness> {
  const fields = await readInfo(redis)
  const refusals: string[] = []
  const warnings: string[] = []
  if (fields === null)
    warnings.push('its user may not run INFO, so its version, eviction, persistence and replicas are not checked')
  else warnings.push(...(await replicaProblems(redis, prefix)))
  const version = fields?.redis_version ?? 'unknown'
  if (fields && Number.parseFloat(version) < oldestVersion) {
    refusals.push(`version ${version} is too old; expected ${oldestVersion} or later`)
  }
  const policy = fields?.maxmemory_policy
  if (policy !== undefined && policy !== 'noeviction') {
    refusals.push(`maxmemory-policy is ${policy}: leases would be evicted; set it to noeviction`)
  }
  if (fields?.aof_enabled === '0') {
    warnings.push('appendonly is off: a restart loses the ledger; set appendonly yes')
  }
  warnings.push(...(await clockProblems(redis, now)))
  return { version, refusals, warnings }
}

/** Null where the ACL does not let us ask. */
async function readInfo(redis: Connection): Promise<Record<string, string> | null> {
  try {
    const lines = (await redis.info()).split('\r\n').filter((line) => line.includes(':'))
    return Object.fromEntries(lines.map((line) => line.split(':', 2) as [string, string]))
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('NOPERM')) return null
    throw error
  }
}

/** Where there is none, none is asked of it. */
async function replicaProblems(redis: Connection, prefix: string): Promise<string[]> {
  const asked = await redis.eval("return redis.call('INFO', 'replication')", 1, ledgerTag(prefix))
  const [, replicas = '0'] = /^connected_slaves:(\d+)/m.exec(String(asked)) ?? []
  if (replicas === '0') return []
  const problems: string[] = []
  // Told by a primary only where it is set.
  if (!/^min_slaves_good_slaves:/m.test(String(asked))) {
    problems.push(
      'it has replicas and min-replicas-to-write is 0: cut off from all of them it goes on, and so do brokers that see it, beside ' +
        'the one that was promoted; set min-replicas-to-write 1 (with one replica, nothing ends early while that is away either: run two)',
    )
  }
  const refused = await redis.wait(0, 0).then(
    () => false,
    (error: Error) => error.message.startsWith('NOPERM'),
  )
  if (refused)
    problems.push('it has replicas and its user may not run WAIT: no credential is issued; add +wait to its ACL')
  return problems
}

async function clockProblems(redis: Connection, now: () => number): Promise<string[]> {
  const [seconds] = (await redis.time()) as unknown as [string, string]
  // Redis's seconds are whole ones.
  const apartMs = Math.abs(Number(seconds) * 1000 - now())
  return apartMs > clockToleranceMs + 1000
    ? [`its clock is ${Math.round(apartMs / 1000)} s off this host's; synchronise both (NTP)`]
    : []
}
