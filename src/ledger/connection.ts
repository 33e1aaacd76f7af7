// Connections to Redis. The options are not taste: ioredis's defaults resend unanswered commands after a reconnect, which was
// seen to run a script twice, and queue commands while offline, which hangs requests for ever.
import { Cluster, Redis } from 'ioredis'

export interface RedisSettings {
  /** redis://, rediss://, unix://, redis+sentinel://name@host:port,host:port/db, or a list of cluster nodes. */
  readonly url: string | readonly string[]
  readonly prefix: string
}

/** For the ledger and whatever adds jobs: a command is answered, fails within `commandTimeout`, and is never sent twice. */
const failFast = {
  autoResendUnfulfilledCommands: false,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  commandTimeout: 2000,
  connectTimeout: 5000,
  retryStrategy: (times: number) => Math.min(50 * 2 ** Math.min(times, 6), 1000),
}

/** For BullMQ's blocking reads and for subscriptions, which wait through an outage. */
const patient = { maxRetriesPerRequest: null, retryStrategy: (times: number) => Math.min(100 * times, 1000) }

type Behaviour = typeof failFast | typeof patient

export type Connection = Redis | Cluster

/** A connection that refuses at once while Redis is away. Errors reach `onError`; the caller of a command gets them too. */
export function connectFailFast(settings: RedisSettings, onError: (error: Error) => void): Connection {
  return connect(settings.url, failFast, onError)
}

/** A connection that waits for Redis to come back. */
export function connectPatient(settings: RedisSettings, onError: (error: Error) => void): Connection {
  return connect(settings.url, patient, onError)
}

function connect(url: string | readonly string[], options: Behaviour, onError: (error: Error) => void): Connection {
  const redis = open(url, options)
  redis.on('error', onError)
  return redis
}

/**
 * Sends the commands of one turn of the event loop in one write. ioredis makes a system call of each; with many requests under
 * way that was half of what a command cost here, and Redis wakes up as often.
 */
class BatchingRedis extends Redis {
  override sendCommand(...args: Parameters<Redis['sendCommand']>): unknown {
    const socket = this.stream
    if (socket && socket.writableCorked === 0) {
      socket.cork()
      process.nextTick(() => socket.uncork())
    }
    return super.sendCommand(...args)
  }
}

function open(url: string | readonly string[], options: Behaviour): Connection {
  if (typeof url !== 'string') {
    const { retryStrategy: _perNode, ...redisOptions } = options
    return new Cluster([...url], { redisOptions, enableOfflineQueue: options === patient })
  }
  if (url.startsWith('redis+sentinel://')) return new BatchingRedis({ ...options, ...parseSentinelUrl(url) })
  if (url.startsWith('unix://')) return new BatchingRedis({ ...options, path: url.slice('unix://'.length) })
  return new BatchingRedis(url, options)
}

interface SentinelOptions {
  sentinels: { host: string; port: number }[]
  name: string
  db?: number
  username?: string
  password?: string
}

/** `redis+sentinel://:password@host:26379,host2:26379/name/0` */
export function parseSentinelUrl(url: string): SentinelOptions {
  const match =
    /^redis\+sentinel:\/\/(?:(?<user>[^:@/]*):(?<password>[^@/]*)@)?(?<hosts>[^/]+)\/(?<name>[^/]+)(?:\/(?<db>\d+))?$/.exec(
      url,
    )
  if (!match?.groups) throw new Error('a sentinel URL reads redis+sentinel://host:26379,host:26379/name')
  const { user, password, hosts = '', name = '', db } = match.groups
  const sentinels = hosts.split(',').map((host) => {
    const [address = '', port = '26379'] = host.split(':')
    return { host: address, port: Number(port) }
  })
  return {
    sentinels,
    name,
    ...(db === undefined ? {} : { db: Number(db) }),
    ...(user ? { username: decodeURIComponent(user) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
  }
}

/** Waits until commands are taken, at most `timeoutMs`. With the offline queue off a command before that fails. */
export async function untilReady(redis: Connection, timeoutMs: number): Promise<boolean> {
  if (redis.status === 'ready') return true
  return await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), timeoutMs)
    redis.once('ready', () => {
      clearTimeout(timer)
      resolve(true)
    })
  })
}
