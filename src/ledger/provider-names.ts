// Which providers the ledger has leases of, whatever is configured: a due index that nobody asks for is a lease that nobody ends.
import type { Connection } from './connection.js'
import { ledgerTag } from './keys.js'
import { orUnavailable } from './unavailable.js'

/**
 * The providers, besides those configured, of which the ledger still has leases to look after. One that has none left is
 * forgotten: the set has to have a bound. Throws `ledger_unavailable`.
 */
export async function findOtherProviders(
  redis: Connection,
  prefix: string,
  configured: ReadonlySet<string>,
): Promise<string[]> {
  const tag = ledgerTag(prefix)
  const known = await orUnavailable(redis.smembers(`${tag}providers`))
  const others: string[] = []
  for (const name of known.filter((one) => !configured.has(one)).sort()) {
    if ((await orUnavailable(redis.zcard(`${tag}due:${name}`))) > 0) others.push(name)
    else await orUnavailable(redis.srem(`${tag}providers`, name))
  }
  return others
}
