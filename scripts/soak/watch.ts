// What lives at the providers, looked at there again and again while everything else goes on.
import type { Book, Check } from './book.js'
import { createWorkload, type Workload } from './callers.js'
import type { FarSide } from './far-sides.js'
import type { Ground } from './ground.js'
import { createRandom, pause, type Random } from './random.js'

export interface Sighting {
  readonly provider: string
  readonly lease: string
  /** When it was last seen alive, epoch milliseconds. */
  readonly last: number
  /** What was found under the lease's name: more than one was minted twice. */
  readonly refs: ReadonlySet<string>
}

export interface Watch {
  /** By provider and lease. */
  sightings(): Sighting[]
  /** How often the providers' lists were read. */
  readonly looks: number
  stop(): Promise<void>
}

const everyMs = 400

export function startWatch(ground: Ground, book: Book, seed: number): Watch {
  const seen = new Map<string, { provider: string; lease: string; last: number; refs: Set<string> }>()
  let stopped = false
  const watch = { looks: 0 }
  const lookAt = async (provider: string, side: FarSide) => {
    while (!stopped) {
      // Of the moment before it was asked: what is found was alive at least then.
      const last = Date.now()
      for (const { lease, ref } of await side.alive()) {
        const key = `${provider} ${lease === '' ? ref : lease}`
        const one = seen.get(key) ?? { provider, lease, last, refs: new Set<string>() }
        one.last = last
        one.refs.add(ref)
        seen.set(key, one)
      }
      watch.looks += 1
      await pause(everyMs)
    }
  }
  const running = Promise.all([
    lookAt('vault', ground.vault),
    lookAt('aws', ground.sts),
    lookAtTokens(ground, book, createRandom(seed, 'introspection'), () => stopped),
  ])
  return {
    get looks() {
      return watch.looks
    },
    sightings: () => [...seen.values()],
    async stop() {
      stopped = true
      await running
    },
  }
}

/** The jwt provider is Hallpass itself: what a resource server is told of tokens that must be dead. */
async function lookAtTokens(ground: Ground, book: Book, random: Random, isOver: () => boolean): Promise<void> {
  const asker = await createWorkload(ground, { ...book, answers: new Map() }, 8001)
  while (!isOver()) {
    const now = Date.now()
    const tokens = [...book.handed.values()].filter(({ action }) => action === 'report.read').slice(-400)
    const late = tokens.filter(({ expiresAt }) => expiresAt + 5000 < now)
    const claimed = tokens.filter(({ lease }) => book.confirmed.has(lease))
    const look = async (check: Check, from: typeof tokens) => {
      const one = from[Math.floor(random.next() * from.length)]
      if (one && (await isAccepted(ground, asker, random.chance(0.5) ? 0 : 1, one.secret)))
        book.wrong.push({ check, what: `${one.lease}, a token, is introspected as active` })
    }
    await look('late', late)
    await look('claimed', claimed)
    await pause(100)
  }
}

/** What RFC 7662 says of the token. No answer is no acceptance. */
export async function isAccepted(ground: Ground, asker: Workload, serve: 0 | 1, token: string): Promise<boolean> {
  const answer = await asker.call(ground.serves[serve], 'POST', '/oauth/introspect', { form: { token } })
  return answer?.body.active === true
}
