// Connections to Redis. The options are not taste: ioredis's defaults resend unanswered commands after a reconnect, which was
// seen to run a script twice, and queue commands while offline, which hangs requests for ever.
import { Cluster, Redis } from 'ioredis'

export interface RedisSettings {
  /** redis://, rediss://, unix://, redis+sentinel:// or rediss+sentinel://host:port,host:port/name/db, or a list of cluster nodes. */
  readonly url: string | readonly string[]
  readonly prefix: string
  /** PEM: who signed Redis's certificate, where the system does not know them. */
  readonly ca?: string
  /** How long a fail-fast connection waits for an answer. Where Redis hangs nobody should wait longer than the default of 2 s. */
  readonly commandTimeoutMs?: number
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
  const { commandTimeoutMs: commandTimeout = failFast.commandTimeout } = settings
  return connect(settings, { ...failFast, commandTimeout }, onError)
}

/** A connection that waits for Redis to come back. */
export function connectPatient(settings: RedisSettings, onError: (error: Error) => void): Connection {
  return connect(settings, patient, onError)
}

function connect(settings: RedisSettings, options: Behaviour, onError: (error: Error) => void): Connection {
  const redis = open(settings, options)
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

function open({ url, ca }: RedisSettings, options: Behaviour): Connection {
  const tls = ca === undefined ? {} : { ca }
  if (typeof url !== 'string') return openCluster(url, tls, options)
  if (/^rediss?\+sentinel:/.test(url)) return openBehindSentinels(url, tls, options)
  const one = { ...options, reconnectOnError: isDemoted }
  if (url.startsWith('unix://')) return new BatchingRedis({ ...one, path: url.slice('unix://'.length) })
  return new BatchingRedis(url, url.startsWith('rediss:') ? { ...one, tls } : one)
}

/**
 * A primary that was demoted keeps its connections and refuses writes: away from it, to whoever the address or the sentinels name
 * now, without sending twice. Before Redis 7 a script's error says so within its text.
 */
export const isDemoted = (error: Error) => /(^|-)READONLY\b/.test(error.message)

interface Tls {
  ca?: string
}

/** User, password and TLS of the first node are those of all: the cluster names the others by address alone. */
function openCluster(urls: readonly string[], tls: Tls, options: Behaviour): Cluster {
  const { retryStrategy, ...behaviour } = options
  const { username, password, protocol } = new URL(urls[0] ?? '')
  const redisOptions = {
    ...behaviour,
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
    ...(protocol === 'rediss:' ? { tls } : {}),
  }
  const cluster = new Cluster([...urls], {
    redisOptions,
    clusterRetryStrategy: retryStrategy,
    enableOfflineQueue: options === patient,
    slotsRefreshInterval: 1000,
    // After a failover ioredis sends again what was unanswered; see above.
    ...(options === patient ? {} : { retryDelayOnFailover: 0 }),
  })
  // Else a node is connected to by its first command, and a second one beside it is refused until that is done.
  cluster.on('+node', (node: Redis) => {
    if (node.status === 'wait') node.connect().catch(() => undefined)
  })
  return cluster
}

function openBehindSentinels(url: string, tls: Tls, options: Behaviour): Redis {
  const secure = url.startsWith('rediss') ? { tls, sentinelTLS: tls, enableTLSForSentinelMode: true } : {}
  return new BatchingRedis({
    ...options,
    ...parseSentinelUrl(url),
    ...secure,
    failoverDetector: true,
    reconnectOnError: isDemoted,
  })
}

interface SentinelOptions {
  sentinels: { host: string; port: number }[]
  name: string
  db?: number
  username?: string
  password?: string
}

/** `redis+sentinel://user:password@host:26379,host2:26379/name/0` */
export function parseSentinelUrl(url: string): SentinelOptions {
  const match =
    /^rediss?\+sentinel:\/\/(?:(?<user>[^:@/]*):(?<password>[^@/]*)@)?(?<hosts>[^/]+)\/(?<name>[^/]+)(?:\/(?<db>\d+))?$/.exec(
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
  const isReady = await new Promise<boolean>((resolve) => {
    const settle = (isReady: boolean) => {
      clearTimeout(timer)
      redis.off('ready', ready)
      resolve(isReady)
    }
    const ready = () => settle(true)
    const timer = setTimeout(() => settle(false), timeoutMs)
    redis.on('ready', ready)
  })
  return isReady && (await untilPrimariesReady(redis, timeoutMs))
}

/** A cluster is ready once one of its nodes is. One of the others may be away: then as long as it may take, and on without it. */
async function untilPrimariesReady(connection: Connection, timeoutMs: number): Promise<boolean> {
  if (!(connection instanceof Cluster)) return true
  const isConnecting = (node: Redis) => ['wait', 'connecting', 'connect'].includes(node.status)
  for (let waited = 0; waited < timeoutMs && connection.nodes('master').some(isConnecting); waited += 10)
    await new Promise((resolve) => setTimeout(resolve, 10))
  return true
}
