// What each beat tells of the Redis server that answers: which one it is, its replicas, and why it should take nothing new.

/** Run id, replicas that have all it sends, percent of maxmemory in use, maxmemory-policy; '' and 0 where its user may not ask. */
export type ServerFacts = readonly [id: string, replicas: number, memoryInUse: number, policy: string]

/** Percent of Redis's `maxmemory`: what is left is for ending what is out, which needs a little room itself. */
const fullFrom = 90

export class SeenServer {
  #id = ''
  #replicas = 0
  /** By the last beat. */
  #unfit: string | null = null
  #silence: string | null = null
  #onReplicas: () => void = () => undefined

  /** '' before it is known. */
  get id(): string {
    return this.#id
  }

  /** Those that come or go are known by the next beat. */
  get replicas(): number {
    return this.#replicas
  }

  /** Why Redis should take nothing new, though it still could; null while it may. */
  get full(): string | null {
    return this.#unfit ?? this.#silence
  }

  /** `listener` is called with each beat that sees any. */
  onReplicas(listener: () => void): void {
    this.#onReplicas = listener
  }

  /** Another one answers now. */
  moveTo(id: string): void {
    this.#id = id
  }

  note([id, replicas, memoryInUse, policy]: ServerFacts): void {
    this.#id = id
    this.#replicas = replicas
    this.#unfit = unfitness(memoryInUse, policy)
    if (replicas > 0) this.#onReplicas()
  }

  /** A beat that it answered and did not take: whoever asks whether credentials can be issued is told why not. */
  noteRefusal(error: unknown): void {
    const [code] = /\b(NOREPLICAS|MISCONF|READONLY)\b/.exec(error instanceof Error ? error.message : '') ?? []
    if (code === undefined) return
    const why = code === 'NOREPLICAS' ? 'it has fewer replicas than min-replicas-to-write' : `it answers ${code}`
    this.#unfit = `Redis takes no writes: ${why}`
  }

  /** Why nothing new is begun: there are replicas, and they acknowledge nothing; null: they do. */
  noteSilence(silence: string | null): void {
    this.#silence = silence
  }
}

/** A replica that was promoted may be configured otherwise than the server that start-up looked at. */
function unfitness(memoryInUse: number, policy: string): string | null {
  if (policy !== '' && policy !== 'noeviction') {
    return `Redis's maxmemory-policy is ${policy}: leases would be evicted; set it to noeviction`
  }
  if (memoryInUse < fullFrom) return null
  return `Redis is at ${memoryInUse} % of its maxmemory; from ${fullFrom} % on nothing is issued, so that what is out can be ended`
}
