// The webhook of approvals, for the doctor: whether its address may be reached, and how the last try went. Sends nothing.
import { checkAddress } from '../broker/post-notice.js'
import type { Settings } from '../config/schema.js'
import { toTimestamp } from '../core/clock.js'
import { connectFailFast, untilReady } from '../ledger/connection.js'
import { ledgerTag } from '../ledger/keys.js'
import { readNoticeState } from '../ledger/notice-store.js'
import { redisSettings } from '../ledger/redis-config.js'

/** Empty where none is configured. */
export async function diagnoseWebhook(
  settings: Settings,
): Promise<{ part: string; problems: string[]; seen?: string }[]> {
  const { webhook } = settings.approvals
  if (webhook === undefined) return []
  const part = 'approvals webhook'
  const { origin } = new URL(webhook.url)
  try {
    await checkAddress(webhook)
  } catch (error) {
    return [{ part, problems: [`${origin} ${error instanceof Error ? error.message : String(error)}`] }]
  }
  const redis = redisSettings(settings.redis)
  const connection = connectFailFast(redis, () => undefined)
  try {
    // Redis has a finding of its own.
    if (!(await untilReady(connection, 3000))) return [{ part, problems: [], seen: origin }]
    const { waiting, trouble } = await readNoticeState(connection, ledgerTag(redis.prefix))
    if (trouble === null) return [{ part, problems: [], seen: `${origin}, ${waiting} to be told` }]
    return [{ part, problems: [`the last try at ${toTimestamp(trouble.at)}: ${trouble.error}; ${waiting} to be told`] }]
  } catch {
    return [{ part, problems: [], seen: origin }]
  } finally {
    connection.disconnect()
  }
}
