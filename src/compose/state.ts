// Everything of a program that lives in Redis: the ledger and the queue, each on connections of its own.
import type { AuditLog } from '../audit/audit-log.js'
import type { Settings } from '../config/schema.js'
import { systemClock } from '../core/clock.js'
import { type Connection, connectFailFast, connectPatient, untilReady } from '../ledger/connection.js'
import type { Continuity } from '../ledger/continuity.js'
import type { Ledger } from '../ledger/ledger.js'
import { redisSettings } from '../ledger/redis-config.js'
import { openRedisLedger } from '../ledger/redis-ledger.js'
import { createReplicaAcks } from '../ledger/replica-acks.js'
import { ledgerUnavailable } from '../ledger/unavailable.js'
import { createRevocationQueue, type RevocationQueue } from '../queue/revocation-queue.js'
import type { Logger } from '../telemetry/logger.js'
import { checkRedis, watchLedger } from './continuity.js'
import type { Opened } from './opened.js'
import { onDisk, type Program } from './own-chain.js'

export interface State {
  /** The ledger's own connection, for what is no part of the `Ledger`. */
  readonly commands: Connection
  readonly prefix: string
  readonly continuity: Continuity
  readonly ledger: Ledger
  readonly queue: RevocationQueue
  /** One more connection that waits through outages: BullMQ's blocking reads need one each. */
  connectPatient(): Connection
}

interface StateParts {
  readonly settings: Settings
  readonly program: Program
  readonly audit: AuditLog
  readonly log: Logger
}

/** Throws `ledger_unavailable` after 5 s without Redis, and an Error for one that would lose leases. */
export async function openState(opened: Opened, { settings, program, audit, log }: StateParts): Promise<State> {
  const redis = redisSettings(settings.redis)
  const { prefix } = redis
  const trouble = reportOnce(log)
  const patient = () => opened.add(connectPatient(redis, trouble), (one) => one.disconnect())
  const failFast = () => opened.add(connectFailFast(redis, trouble), (one) => one.disconnect())
  const commands = failFast()
  if (!(await untilReady(commands, 5000))) throw ledgerUnavailable()
  await checkRedis(commands, prefix, log, { refuses: program !== 'local' })
  const continuity = await watchLedger(commands, prefix, audit, (note) => onDisk(program, log, note))
  const { server } = continuity
  const suspectLoss = (reason: string) => continuity.suspectLoss(reason)
  const acks = createReplicaAcks({ connect: failFast, prefix, server, suspectLoss })
  const parts = { redis: commands, subscriber: patient(), prefix, continuity, acks }
  const ledger = opened.add(await openRedisLedger(parts), (one) => one.close())
  const jobs = failFast()
  await untilReady(jobs, 5000)
  const queue = opened.add(createRevocationQueue(jobs, prefix, trouble), (one) => one.close())
  return { commands, continuity, ledger, queue, prefix, connectPatient: patient }
}

/** Reconnecting says the same each time; once a second is enough of it. */
function reportOnce(log: Logger): (error: Error) => void {
  let last = Number.NEGATIVE_INFINITY
  return (error) => {
    if (systemClock.monotonic() - last < 1000) return
    last = systemClock.monotonic()
    log.warn({ err: error }, 'Redis cannot be reached')
  }
}
