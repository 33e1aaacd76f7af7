// Where Redis has replicas: what an answer with a secret rests on is at one of them before it is given, so that the replica which
// is promoted knows every lease that somebody holds. Many who ask at once share one question (group commit).
import { readFileSync } from 'node:fs'
import { BrokerError } from '../core/errors.js'
import { type Connection, untilReady } from './connection.js'
import { ledgerTag } from './keys.js'
import type { SeenServer } from './seen-server.js'

/** Shorter than a command may take (connection.ts), so that it is Redis who says that nobody acknowledged. */
const acknowledgedWithinMs = 1500
const askAgainMs = 500

/** What a replica must know of a lease: that it was reserved, or that its credential was minted. */
export type Step = 'reserved' | 'activated'

export interface ReplicaAcksParts {
  /** Opens a connection of its own, as soon as there is a replica: WAIT holds up whatever is sent behind it. */
  readonly connect: () => Connection
  readonly prefix: string
  /** Which replicas there are, and who is told that none answers. */
  readonly server: SeenServer
  /** Is told that the ledger lacks what it took. */
  readonly suspectLoss: (reason: string) => void
}

export interface ReplicaAcks {
  /** Resolves once a replica knows so much of the lease; at once where there is none. Throws `ledger_unavailable`. */
  wait(lease: string, step: Step): Promise<void>
  close(): void
}

/** Asked together; `outcome` resolves with those that the ledger lacks. */
interface Batch {
  readonly asked: [string, Step][]
  readonly outcome: Promise<ReadonlySet<string>>
  readonly run: () => void
}

const script = readFileSync(new URL('./lua/confirm-leases.lua', import.meta.url), 'utf8')

/** Why it is not known that a replica has it, and what to do where somebody can. */
function silenceOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : ''
  if (text.startsWith('NOPERM'))
    return 'the Redis user may not run WAIT, so replicas cannot be asked: add +wait to its ACL'
  return `no replica has acknowledged within ${acknowledgedWithinMs / 1000} s what the ledger wrote`
}

export function createReplicaAcks(parts: ReplicaAcksParts): ReplicaAcks {
  return new GroupedAcks(parts)
}

class GroupedAcks implements ReplicaAcks {
  readonly #parts: ReplicaAcksParts
  #own: Connection | null = null
  #next: Batch | null = null
  #running = false
  #again: NodeJS.Timeout | null = null
  #closed = false

  constructor(parts: ReplicaAcksParts) {
    this.#parts = parts
    // Before anybody waits: the first request is not to wait for a connection as well.
    parts.server.onReplicas(() => this.#connected())
  }

  #connected(): Connection {
    if (this.#closed) throw new Error('closed')
    this.#own ??= this.#parts.connect()
    return this.#own
  }

  async wait(lease: string, step: Step): Promise<void> {
    const { server, suspectLoss } = this.#parts
    if (server.replicas === 0) return
    const lacking = await this.#join([lease, step])
    if (!lacking.has(lease)) return
    suspectLoss('the ledger lacks a lease that it took')
    throw new BrokerError('ledger_unavailable', 'the ledger lacks this lease: another Redis took over', {
      retryAfterSeconds: 2,
    })
  }

  #join(...asked: [string, Step][]): Promise<ReadonlySet<string>> {
    const batch = this.#next ?? this.#newBatch()
    this.#next = batch
    batch.asked.push(...asked)
    void this.#runAll()
    return batch.outcome
  }

  #newBatch(): Batch {
    const asked: [string, Step][] = []
    let run = () => {}
    const outcome = new Promise<void>((resolve) => {
      run = resolve
    }).then(() => this.#ask(asked))
    return { asked, outcome, run }
  }

  /** One question at a time; whoever comes meanwhile shares the next one. At the end of this turn of the event loop, as the audit. */
  async #runAll(): Promise<void> {
    if (this.#running) return
    this.#running = true
    await new Promise<void>((resolve) => setImmediate(resolve))
    for (let batch = this.#take(); batch; batch = this.#take()) {
      batch.run()
      this.#note(
        await batch.outcome.then(
          () => null,
          (error: BrokerError) => error.detail,
        ),
      )
    }
    this.#running = false
  }

  #take(): Batch | null {
    const batch = this.#next
    this.#next = null
    return batch
  }

  /** While nobody acknowledges nothing new is begun, so nobody would find out when they do again: asked for by ourselves. */
  #note(silence: string | null): void {
    this.#parts.server.noteSilence(silence)
    if (silence === null || this.#again !== null || this.#closed) return
    this.#again = setTimeout(() => {
      this.#again = null
      if (this.#parts.server.replicas === 0) this.#parts.server.noteSilence(null)
      else this.#join().catch(() => undefined)
    }, askAgainMs)
    this.#again.unref()
  }

  /**
   * A write of this connection's own, since only such are waited for, to the server that holds the ledger's slot, and WAIT behind it
   * in one go. Replication is one stream: whoever has this write has all that was answered before it. Throws `ledger_unavailable`.
   */
  async #ask(asked: readonly [string, Step][]): Promise<ReadonlySet<string>> {
    try {
      const own = this.#connected()
      if (!(await untilReady(own, acknowledgedWithinMs))) throw new Error('no connection')
      const both = own.pipeline().eval(script, 1, ledgerTag(this.#parts.prefix), JSON.stringify(asked))
      const [written, waited] = (await both.wait(1, acknowledgedWithinMs).exec()) ?? []
      if (written?.[0]) throw written[0]
      if (waited?.[0]) throw waited[0]
      const lacking = new Set(written?.[1] as string[])
      // Without the write there was nothing to acknowledge.
      if (lacking.size === 0 && Number(waited?.[1]) < 1) throw new Error('no acknowledgement')
      return lacking
    } catch (cause) {
      throw new BrokerError('ledger_unavailable', silenceOf(cause), { retryAfterSeconds: 2, cause })
    }
  }

  close(): void {
    this.#closed = true
    this.#parts.server.onReplicas(() => undefined)
    if (this.#again) clearTimeout(this.#again)
    this.#own?.disconnect()
  }
}
