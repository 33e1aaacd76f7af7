// Redis as the ledger needs it, for the doctor.
import type { Settings } from '../config/schema.js'
import { systemClock } from '../core/clock.js'
import { connectFailFast, untilReady } from '../ledger/connection.js'
import { examineRedis } from '../ledger/fitness.js'
import { redisSettings } from '../ledger/redis-config.js'

export async function diagnoseRedis(settings: Settings): Promise<{ part: string; problems: string[]; seen?: string }> {
  const part = 'redis'
  const connection = redisSettings(settings.redis)
  const redis = connectFailFast(connection, () => undefined)
  try {
    if (!(await untilReady(redis, 3000)))
      return { part, problems: ['cannot be reached at redis.url; start it, or correct the URL'] }
    const { version, refusals, warnings } = await examineRedis(redis, systemClock.now, connection.prefix)
    return { part, problems: [...refusals, ...warnings], seen: `version ${version}, no eviction, in time` }
  } catch {
    return { part, problems: ['answers errors; check the user and password in redis.url'] }
  } finally {
    redis.disconnect()
  }
}
