// What carries our mark at a provider and is not alive in the ledger: left by a lost ledger, a restored snapshot or a mint that
// answered nobody. Nobody looks after it, so it is ended here, and said aloud.
import type { Json } from '../core/canonical-json.js'
import { createdAt, isId } from '../core/ids.js'
import { isEnded } from '../ledger/lease.js'
import { type Handle, type Mark, type Provider, ProviderError } from '../providers/provider.js'
import type { Parts } from './parts.js'

/** One worker looks, once in this time, at each provider that can list. */
const everyMs = 60_000
/** Asked of the ledger at once. */
const pageSize = 200

interface Listed {
  readonly lease: string
  readonly mark: Mark
  readonly handle: Handle
}

/** Compares every provider's list with the ledger, where it is our turn. Returns how many orphans were found; never throws. */
export async function endOrphans(parts: Parts): Promise<number> {
  let found = 0
  for (const provider of parts.providers.values()) {
    if (provider.list === undefined) continue
    try {
      // A ledger that lost its memory knows nothing of what is alive: that is for `recover`, not for us.
      const { incarnation } = await parts.ledger.ready()
      if (incarnation === null || !(await parts.ledger.takeTurn(`orphans:${provider.name}`, everyMs))) continue
      found += await compare(parts, provider, provider.list())
    } catch (error) {
      parts.log.warn(
        { err: error, provider: provider.name },
        'what is alive there could not be compared with the ledger',
      )
    }
  }
  return found
}

async function compare(
  parts: Parts,
  provider: Provider,
  alive: AsyncIterable<{ mark: Mark; handle: Handle }>,
): Promise<number> {
  let found = 0
  let page: Listed[] = []
  const look = async () => {
    const orphans = await orphansAmong(parts, provider, page)
    for (let i = 0; i < orphans.length; i += provider.concurrency) {
      const together = orphans.slice(i, i + provider.concurrency)
      await Promise.all(together.map((orphan) => endOrphan(parts, provider, orphan)))
    }
    found += orphans.length
    page = []
  }
  for await (const { mark, handle } of alive) {
    const lease = leaseIn(mark)
    if (lease !== null) page.push({ lease, mark, handle })
    if (page.length >= pageSize) await look()
  }
  await look()
  return found
}

/** The lease id that a mark carries, wherever in it the provider puts it. */
function leaseIn(mark: Json | undefined): string | null {
  if (typeof mark === 'string') {
    const id = /(?<![0-9a-z])lease_[0-9a-z]{26}(?![0-9a-z])/.exec(mark)?.[0]
    return id !== undefined && isId('lease', id) ? id : null
  }
  if (mark === null || typeof mark !== 'object') return null
  for (const member of Object.values(mark) as Json[]) {
    const id = leaseIn(member)
    if (id !== null) return id
  }
  return null
}

/**
 * A Redis that went back knows less than is true until its brokers have replayed it: so it is asked again once that is ruled
 * out, and only who was unknown both times is an orphan. Throws `rolled_back` where it cannot be ruled out.
 */
async function orphansAmong(parts: Parts, provider: Provider, page: readonly Listed[]): Promise<Listed[]> {
  const suspects = await suspectsAmong(parts, provider, page)
  if (suspects.length === 0) return []
  await parts.ledger.checkSure()
  return await suspectsAmong(parts, provider, suspects)
}

/** Asked after the list was read: what was reserved meanwhile is known, and what ended meanwhile is asked for once more. */
async function suspectsAmong(parts: Parts, provider: Provider, page: readonly Listed[]): Promise<Listed[]> {
  const [known, now] = await Promise.all([parts.ledger.findLeases(page.map(({ lease }) => lease)), parts.ledger.now()])
  const states = new Map(known.map((lease) => [lease.id, lease.state]))
  const orphans: Listed[] = []
  for (const listed of page) {
    const state = states.get(listed.lease)
    // A standing copy or an abandoned credential lives on with everybody's knowledge.
    if (state !== undefined && (!isEnded(state) || state === 'released' || state === 'abandoned')) continue
    // Reserved by a broker whose reservation this ledger never saw: its mint may still be running.
    if (state === undefined && !(createdAt(listed.lease) < now - provider.timeoutSeconds * 1000 - 5000)) continue
    if (state === undefined || (await provider.probe(listed.handle)) === 'alive') orphans.push(listed)
  }
  return orphans
}

async function endOrphan(parts: Parts, provider: Provider, { lease, mark, handle }: Listed): Promise<void> {
  const outcome = await provider.revoke(handle, parts.clock.now(), { forced: true }).catch((error: unknown) => {
    if (!(error instanceof ProviderError)) parts.log.error({ err: error, lease }, 'an orphan could not be revoked')
    // It is still there at the next look.
    return 'failed' as const
  })
  parts.metrics.orphansFound.inc({ provider: provider.name, outcome })
  parts.log.error({ provider: provider.name, lease, outcome }, 'an orphan was found')
  await parts.audit
    .append({ event: 'orphan.found', actor: 'sweeper', provider: provider.name, lease, mark, outcome })
    .catch((error: unknown) => parts.log.error({ err: error, lease }, 'an orphan could not be recorded'))
}
