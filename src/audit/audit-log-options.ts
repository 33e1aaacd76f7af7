import type { Clock } from '../core/clock.js'
import type { SignCheckpoint } from './checkpoints.js'

export interface AuditLogOptions {
  /** The `audit.directory` of the configuration; the chain's own folder is made in it. */
  directory: string
  instance: string
  program: 'serve' | 'worker' | 'dev' | 'local' | `local-${number}`
  clock: Clock
  signCheckpoint: SignCheckpoint
  /** A segment that has reached this size is followed by a new one. Default 64 MiB. */
  segmentBytes?: number
  /** How long a caller waits for the disk. Default 2 s. */
  waitMs?: number
  /** Free disk below which what callers merely claim is refused. Default: a tenth of it, at most 1 GiB. */
  reserveBytes?: number | undefined
}
