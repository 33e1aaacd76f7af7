// Cleans up in a Redis that is not ours.
import { Redis } from 'ioredis'

/** Removes every key that belongs to a ledger of this prefix, its queues' too. */
export async function forgetKeys(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url)
  try {
    for await (const keys of redis.scanStream({ match: `*${prefix}*`, count: 1000 })) {
      if ((keys as string[]).length > 0) await redis.del(...(keys as string[]))
    }
  } finally {
    redis.disconnect()
  }
}
