// Redis as the ledger needs it: reachable, of a version that is known to work, never evicting, persistent, in time.
import type { Settings } from '../config/schema.js'
import { systemClock } from '../core/clock.js'
import { type Connection, connectFailFast, untilReady } from '../ledger/connection.js'
import { redisSettings } from '../ledger/redis-config.js'

const oldestVersion = 6.2
const clockToleranceMs = 5000

export async function diagnoseRedis(settings: Settings): Promise<{ part: string; problems: string[]; seen?: string }> {
  const part = 'redis'
  const redis = connectFailFast(redisSettings(settings.redis), () => undefined)
  try {
    if (!(await untilReady(redis, 3000)))
      return { part, problems: ['cannot be reached at redis.url; start it, or correct the URL'] }
    const fields = parseInfo(await redis.info())
    const problems = [
      ...versionProblems(fields),
      ...(await settingProblems(redis, fields)),
      ...(await clockProblems(redis)),
    ]
    return { part, problems, seen: `version ${fields.redis_version ?? 'unknown'}, no eviction, in time` }
  } catch {
    return { part, problems: ['answers errors; check the user and password in redis.url'] }
  } finally {
    redis.disconnect()
  }
}

function parseInfo(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split('\r\n').flatMap((line) => (line.includes(':') ? [line.split(':', 2) as [string, string]] : [])),
  )
}

function versionProblems(fields: Record<string, string>): string[] {
  const version = fields.redis_version ?? '0'
  return Number.parseFloat(version) < oldestVersion
    ? [`version ${version} is too old; expected ${oldestVersion} or later`]
    : []
}

async function settingProblems(redis: Connection, fields: Record<string, string>): Promise<string[]> {
  const problems: string[] = []
  const policy = fields.maxmemory_policy
  if (policy !== undefined && policy !== 'noeviction') {
    problems.push(`maxmemory-policy is ${policy}: leases would be evicted; set it to noeviction`)
  }
  if (fields.aof_enabled === '0') problems.push('appendonly is off: a restart loses the ledger; set appendonly yes')
  if ((await redis.ping()) !== 'PONG') problems.push('does not answer PING')
  return problems
}

async function clockProblems(redis: Connection): Promise<string[]> {
  const [seconds] = (await redis.time()) as unknown as [string, string]
  const apartMs = Math.abs(Number(seconds) * 1000 - systemClock.now())
  return apartMs > clockToleranceMs + 1000
    ? [`its clock is ${Math.round(apartMs / 1000)} s off this host's; synchronise both (NTP)`]
    : []
}
