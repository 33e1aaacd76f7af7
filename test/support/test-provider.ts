// A provider over the far side: honest, over a real connection, and with every guarantee to be chosen by the test.
import { toTimestamp } from '../../src/core/clock.js'
import {
  type Guarantees,
  type Handle,
  type Issued,
  type JsonObject,
  type LeaseToIssue,
  type Mark,
  type NoteHandle,
  type Provider,
  ProviderError,
} from '../../src/providers/provider.js'

export interface TestProviderSettings {
  name: string
  url: string
  revocation?: Guarantees['revocation']
  timeoutSeconds?: number
  concurrency?: number
  minTtlSeconds?: number
  propagationSeconds?: number
  /** Whether an empty search is the last word. */
  authoritative?: boolean
  /** Notes nothing before it is through: the mark is all there is to find a half-made credential by. */
  notesHandle?: boolean
  capacity?: number
}

export class TestProvider implements Provider {
  readonly kind = 'test'
  readonly name: string
  /** A test that waits for it to run out makes it short for just that: a busy machine takes longer than half a second for any answer. */
  timeoutSeconds: number
  readonly concurrency: number
  readonly #settings: TestProviderSettings

  constructor(settings: TestProviderSettings) {
    this.#settings = settings
    this.name = settings.name
    this.timeoutSeconds = settings.timeoutSeconds ?? 5
    this.concurrency = settings.concurrency ?? 8
  }

  guarantees(): Guarantees {
    const { revocation = 'immediate', minTtlSeconds = 1, propagationSeconds = 0 } = this.#settings
    return { revocation, minTtlSeconds, propagationSeconds, sessions: 'ended' }
  }

  validate() {
    return []
  }

  plan(lease: Omit<LeaseToIssue, 'remainingMs'>): Mark {
    return { name: lease.id }
  }

  capacity() {
    return this.#settings.capacity === undefined ? null : { key: 'room', leases: this.#settings.capacity }
  }

  async issue(lease: LeaseToIssue, _recipe: JsonObject, noteHandle: NoteHandle): Promise<Issued> {
    const created = await this.#ask('create', { name: lease.id, ends: String(lease.deadline) })
    if (created === null || typeof created.id !== 'string') throw new ProviderError('permanent', 'no id was given')
    const handle = { id: created.id }
    if (this.#settings.notesHandle !== false) await noteHandle(handle)
    const answer = await this.#ask('secret', handle)
    if (answer === null || typeof answer.secret !== 'string')
      throw new ProviderError('permanent', 'no secret was given')
    return {
      credential: { type: 'test', token: answer.secret, expires_at: toTimestamp(lease.deadline) },
      handle,
      providerExpiresAt: lease.deadline,
      providerRef: `ref-of-${lease.id}`,
      fingerprintOf: [answer.secret],
    }
  }

  async revoke(handle: Handle): Promise<'revoked' | 'gone'> {
    return (await this.#ask('revoke', { id: String(handle.id) })) === null ? 'gone' : 'revoked'
  }

  async probe(handle: Handle): Promise<'alive' | 'dead' | 'unknown'> {
    try {
      return (await this.#ask('probe', { id: String(handle.id) })) === null ? 'dead' : 'alive'
    } catch {
      return 'unknown'
    }
  }

  async findByMark(mark: Mark): Promise<Handle | 'nothing' | 'unknown'> {
    const found = await this.#ask('find', { name: String(mark.name) })
    if (found !== null) return { id: String(found.id) }
    return this.#settings.authoritative === false ? 'unknown' : 'nothing'
  }

  async *list(): AsyncGenerator<{ mark: Mark; handle: Handle }> {
    const { credentials } = (await this.#ask('list', {})) ?? {}
    for (const one of (credentials ?? []) as { id: string; name: string }[])
      yield { mark: { name: one.name }, handle: { id: one.id } }
  }

  async diagnose() {
    return []
  }

  async close() {}

  /** The answer's body; null for a 404. Its own time-out is longer than the broker's, which is the one that counts. */
  async #ask(call: string, query: Record<string, string>): Promise<Record<string, unknown> | null> {
    let response: Response
    try {
      response = await fetch(`${this.#settings.url}/${call}?${new URLSearchParams(query)}`, {
        signal: AbortSignal.timeout(this.timeoutSeconds * 1000 + 20_000),
      })
    } catch (cause) {
      throw new ProviderError('unavailable', 'no answer', { cause })
    }
    const text = await response.text()
    if (response.status === 404) return null
    if (!response.ok) throw new ProviderError(response.status >= 500 ? 'retryable' : 'permanent', `${response.status}`)
    try {
      return JSON.parse(text) as Record<string, unknown>
    } catch (cause) {
      throw new ProviderError('permanent', 'the answer is no JSON', { cause })
    }
  }
}
