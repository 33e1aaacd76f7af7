// A primary and its replica, with a line between them that can be slow, silent or cut, and a relay before both: what a client
// with one address sees of a fail-over.
import { Redis } from 'ioredis'
import { type OwnRedis, startOwnRedis } from './redis.js'
import { eventually } from './redis-forms.js'
import { type SlowLink, startSlowLink } from './slow-link.js'
import { startSwitchableRedis } from './switchable-redis.js'

export interface ReplicatedRedis {
  /** The relay's. */
  readonly url: string
  readonly prefix: string
  /** Past the relay, for somebody who looks; the one that is primary now. */
  readonly lookAt: string
  readonly primary: OwnRedis
  readonly replicaUrl: string
  readonly link: SlowLink
  /** To each of the two. */
  readonly at: { readonly primary: Redis; readonly replica: Redis }
  /** Until the replica has all and says so. */
  attach(): Promise<void>
  /** The replica is a primary from now on, with what arrived; `turn`: clients find it at the same address. */
  promote(turn?: boolean): Promise<void>
  /** The other one becomes the promoted one's replica, and keeps its clients; who connects anew finds the promoted one. */
  demote(): Promise<void>
  stop(): Promise<void>
}

export const portOf = (url: string) => Number(new URL(url).port)

/** Not attached yet. `more`: settings of the primary. */
export async function startReplicatedRedis(more: readonly string[] = []): Promise<ReplicatedRedis> {
  const primary = await startOwnRedis(['--repl-diskless-sync-delay', '0', ...more])
  const replica = await startOwnRedis()
  const link = await startSlowLink(portOf(primary.url))
  const relay = await startSwitchableRedis(portOf(primary.url))
  const [one, other] = [primary, replica].map(({ url }) => {
    const redis = new Redis(url, { maxRetriesPerRequest: 1 })
    redis.on('error', () => undefined)
    return redis
  }) as [Redis, Redis]
  return {
    url: relay.url,
    lookAt: primary.url,
    prefix: primary.prefix,
    primary,
    replicaUrl: replica.url,
    link,
    at: { primary: one, replica: other },
    async attach() {
      await other.replicaof('127.0.0.1', link.port)
      await eventually(async () => /slave0:.*state=online/.test(await one.info('replication')))
    },
    async promote(turn = true) {
      link.cut()
      await other.replicaof('NO', 'ONE')
      if (turn) relay.turnTo(portOf(replica.url))
    },
    async demote() {
      relay.turnNewTo(portOf(replica.url))
      await one.replicaof('127.0.0.1', portOf(replica.url))
    },
    async stop() {
      for (const redis of [one, other]) redis.disconnect()
      await relay.close()
      await link.close()
      // While it writes its first append-only file, behind a full sync, it takes no SIGTERM.
      await replica.kill()
      await replica.stop()
      await primary.stop()
    },
  }
}
