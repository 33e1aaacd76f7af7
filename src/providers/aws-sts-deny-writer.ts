// Early ends of one role's sessions, collected into one write: read, merge, write, read back, under a lock per role that
// holds across workers. IAM answers reads late and offers no compare-and-set, so nothing counts until it was read back.
import type { Clock } from '../core/clock.js'
import type { DenyPolicyConfig, RoleName } from './aws-sts-config.js'
import {
  type Denial,
  type DenyDocument,
  maxRoleCharacters,
  mergeDenials,
  parseDenyPolicy,
} from './aws-sts-deny-policy.js'
import type { RolePolicies } from './aws-sts-iam.js'
import { ProviderError } from './provider.js'

/** Runs `work` while nobody else, in any process, does so for the same key. Ours takes three time-outs at most. */
export type LockRole = <T>(key: string, work: () => Promise<T>) => Promise<T>

/** Many leases of one role are probed together: they share a read for as long. */
const readSharedMs = 500

interface Waiting {
  denial: Denial
  resolve: () => void
  reject: (error: unknown) => void
}

interface Collected {
  role: RoleName
  waiting: Waiting[]
  timer: NodeJS.Timeout
}

export class DenyWriter {
  readonly #settings: DenyPolicyConfig
  readonly #policies: RolePolicies
  readonly #lockRole: LockRole
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #room: number
  readonly #collecting = new Map<string, Collected>()
  readonly #writing = new Set<Promise<void>>()
  readonly #reading = new Map<string, { startedAt: number; document: Promise<DenyDocument> }>()
  /** What this process wrote, by role: added again should another writer with a stale read have lost it. */
  readonly #written = new Map<string, Map<string, Denial>>()
  /** When an entry was first seen to stand, by role and session. */
  readonly #seen = new Map<string, { at: number; until: number }>()

  constructor(
    settings: DenyPolicyConfig,
    timeoutSeconds: number,
    policies: RolePolicies,
    lockRole: LockRole,
    clock: Clock,
  ) {
    this.#settings = settings
    this.#policies = policies
    this.#lockRole = lockRole
    this.#clock = clock
    this.#timeoutMs = timeoutSeconds * 1000
    this.#room = maxRoleCharacters - settings.other_policies
  }

  /** Resolves once the role's policy was read back with the session in it; throws ProviderError. */
  deny(role: RoleName, denial: Denial): Promise<void> {
    // Asked again while it spreads: it was seen to stand, and findDenial() forgets that when it no longer does.
    if (this.#seen.has(keyOf(role, denial.session))) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const waiting = { denial, resolve, reject }
      const open = this.#collecting.get(role.arn)
      if (open) {
        open.waiting.push(waiting)
        return
      }
      const timer = setTimeout(() => this.#start(role.arn), this.#settings.batch * 1000)
      this.#collecting.set(role.arn, { role, waiting: [waiting], timer })
    })
  }

  /** Since when an entry for the session is seen to stand (epoch ms), or null where none stands. */
  async findDenial(role: RoleName, session: string): Promise<number | null> {
    const end = (await this.#readShared(role)).ends.get(session)
    if (end !== undefined) return this.#noteSeen(role, session, end)
    this.#seen.delete(keyOf(role, session))
    return null
  }

  /** Writes the policy as it is, less what has ended: shows that the rights are there. */
  async rewrite(role: RoleName): Promise<void> {
    await this.#write(role, [])
  }

  /** Writes what is still collected. */
  async close(): Promise<void> {
    for (const arn of [...this.#collecting.keys()]) this.#start(arn)
    await Promise.all(this.#writing)
  }

  #start(arn: string): void {
    const collected = this.#collecting.get(arn)
    if (!collected) return
    clearTimeout(collected.timer)
    this.#collecting.delete(arn)
    const work = this.#flush(collected).finally(() => this.#writing.delete(work))
    this.#writing.add(work)
  }

  #readShared(role: RoleName): Promise<DenyDocument> {
    const now = this.#clock.monotonic()
    const shared = this.#reading.get(role.arn)
    if (shared && now - shared.startedAt < readSharedMs) return shared.document
    const started = { startedAt: now, document: this.#policies.read(role).then(parseDenyPolicy) }
    this.#reading.set(role.arn, started)
    // A failure is for those who waited for it alone.
    started.document.catch(() => {
      if (this.#reading.get(role.arn) === started) this.#reading.delete(role.arn)
    })
    return started.document
  }

  async #flush({ role, waiting }: Collected): Promise<void> {
    try {
      const denials = waiting.map(({ denial }) => denial)
      const refused = await this.#write(role, denials)
      for (const { denial, resolve, reject } of waiting) {
        if (refused.has(denial.session)) reject(fullError(role))
        else resolve()
      }
    } catch (error) {
      for (const { reject } of waiting) reject(error)
    }
  }

  async #write(role: RoleName, denials: readonly Denial[]): Promise<Set<string>> {
    try {
      return await this.#lockRole(`aws-deny:${role.arn}`, () => this.#writeLocked(role, denials))
    } catch (error) {
      if (error instanceof ProviderError) throw error
      throw new ProviderError('unavailable', `the lock of role ${role.name} could not be had`, { cause: error })
    } finally {
      // A read that began before this write would show a probe what was, not what is.
      this.#reading.delete(role.arn)
    }
  }

  /** Returns the sessions for which the role had no room. */
  async #writeLocked(role: RoleName, denials: readonly Denial[]): Promise<Set<string>> {
    const startedAt = this.#clock.monotonic()
    this.#forgetEnded()
    const own = this.#written.get(role.arn) ?? new Map<string, Denial>()
    this.#written.set(role.arn, own)
    const before = parseDenyPolicy(await this.#policies.read(role))
    const wanted = [...new Map([...own, ...denials.map((denial) => [denial.session, denial] as const)]).values()]
    const merged = mergeDenials(before, wanted, this.#clock.now(), this.#room)
    const refused = new Set(merged.refused)
    const accepted = denials.filter(({ session }) => !refused.has(session))
    if (denials.length > 0 && accepted.length === 0) return refused
    const missing = wanted.filter(({ session }) => !before.ends.has(session))
    if (missing.length > 0 || denials.length === 0) {
      await this.#policies.write(role, merged.text)
      await this.#readBack(role, accepted, startedAt + 2 * this.#timeoutMs)
      for (const { session } of missing) this.#seen.delete(keyOf(role, session))
    }
    for (const denial of accepted) {
      own.set(denial.session, denial)
      this.#noteSeen(role, denial.session, denial.until)
    }
    return refused
  }

  /** Reads until the entries are there, at most until `end` (monotonic): IAM may answer with what was before. */
  async #readBack(role: RoleName, denials: readonly Denial[], end: number): Promise<void> {
    for (let pauseMs = 50; ; pauseMs *= 2) {
      const { ends } = parseDenyPolicy(await this.#policies.read(role))
      if (denials.every(({ session }) => ends.has(session))) return
      if (this.#clock.monotonic() + pauseMs > end) break
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
    throw new ProviderError('retryable', `the deny policy of ${role.name} was written but does not show yet`)
  }

  #noteSeen(role: RoleName, session: string, until: number): number {
    const key = keyOf(role, session)
    const seen = this.#seen.get(key) ?? { at: this.#clock.now(), until }
    this.#seen.set(key, seen)
    return seen.at
  }

  /** Lets go of what has ended, so that a long life does not grow either map. */
  #forgetEnded(): void {
    const now = this.#clock.now()
    for (const denials of this.#written.values()) {
      for (const [session, { until }] of denials) if (until < now) denials.delete(session)
    }
    for (const [key, { until }] of this.#seen) if (until < now) this.#seen.delete(key)
  }
}

function keyOf(role: RoleName, session: string): string {
  return `${role.arn} ${session}`
}

function fullError(role: RoleName): ProviderError {
  return new ProviderError(
    'retryable',
    `the deny policy of ${role.name} is full until earlier entries end; the credential ends at its deadline`,
  )
}
