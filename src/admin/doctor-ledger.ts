// Whether Redis still holds the ledger that this host's audit was written for, for the doctor: a Redis that came back empty, or
// from an old snapshot, looks healthy by itself.
import { join } from 'node:path'
import { readNotesBeside } from '../audit/ledger-note.js'
import type { Settings } from '../config/schema.js'
import { connectFailFast, untilReady } from '../ledger/connection.js'
import { redisSettings } from '../ledger/redis-config.js'
import { createRestoration, type Restoration } from '../ledger/restoration.js'

export interface LedgerFinding {
  readonly part: string
  readonly problems: string[]
  readonly seen?: string
}

const part = 'ledger'

/** Null where Redis cannot be asked: that is a finding of its own. */
export async function diagnoseLedger(settings: Settings): Promise<LedgerFinding | null> {
  const connection = redisSettings(settings.redis)
  const redis = connectFailFast(connection, () => undefined)
  try {
    if (!(await untilReady(redis, 3000))) return null
    return await diagnose(createRestoration(redis, connection.prefix), await notesOf(settings.audit.directory))
  } catch {
    return null
  } finally {
    redis.disconnect()
  }
}

/** For which ledgers the chains in this folder were written. */
const notesOf = (directory: string) => readNotesBeside(join(directory, 'the doctor has none'))

async function diagnose(restoration: Restoration, notes: readonly string[]): Promise<LedgerFinding> {
  const [incarnation, paused] = await Promise.all([restoration.incarnation(), restoration.whyPaused()])
  const problems = paused === null ? [] : [`nothing is issued: ${paused}`]
  const others = notes.filter((note) => note !== incarnation)
  const successors = await Promise.all(others.map((note) => restoration.successorOf(note)))
  if (successors.some((successor) => successor !== incarnation || successor === null)) {
    const found =
      incarnation === null
        ? 'Redis holds no ledger, and the audit on this host was written for one'
        : `Redis holds another ledger (${incarnation}) than the audit on this host was written for`
    problems.push(
      `${found}: its brokers issue nothing and lists lack what was issued; ` +
        'gather the audit folders of all hosts and look at what hallpass recover says',
    )
  }
  return { part, problems, ...(problems.length > 0 ? {} : { seen: incarnation ?? 'none yet' }) }
}
