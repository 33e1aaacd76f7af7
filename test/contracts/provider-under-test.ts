// What the provider contract is run on, and the small tools of its tests.
import { expect } from '@jest/globals'
import { createId } from '../../src/core/ids.js'
import type {
  Credential,
  Handle,
  Issued,
  JsonObject,
  LeaseToIssue,
  Mark,
  NoteHandle,
  Provider,
} from '../../src/providers/provider.js'
import { ProviderError } from '../../src/providers/provider.js'

export interface ProviderUnderTest {
  provider: Provider
  recipe: JsonObject
  /** A fresh lease whose deadline is that many seconds from now. `leaseToIssue` below makes a plain one. */
  makeLease(ttlSeconds: number): LeaseToIssue
  /** Whether the credential works at what it is for, asked there and not at the provider. */
  use?(credential: Credential): Promise<boolean>
  /** How many credentials stand at the far side now, whoever holds them. The suite counts from what stood there before it. */
  aliveCount?(): Promise<number>
  /** Makes the far side refuse connections; the returned function undoes it. */
  breakConnection?(): Promise<() => Promise<void>>
  /** Makes the far side accept and never answer; the returned function undoes it. */
  hang?(): Promise<() => Promise<void>>
  /** The lifetime to ask for where a test waits for the natural end. Default: 8, and never below the floor. Null: too long to wait for. */
  waitableTtlSeconds?: number | null
  /** How long after a revocation or a crash the far side may need until it is settled, with a machine that stands still now and then. Default 20. */
  settleSeconds?: number
  stop(): Promise<void>
}

/** A lease as a broker would hand it to a provider. */
export function leaseToIssue(ttlSeconds: number, overrides: Partial<LeaseToIssue> = {}): LeaseToIssue {
  const now = Date.now()
  const taskId = createId('task', now)
  const principal = 'ci:repo:acme/web'
  return {
    id: createId('lease', now),
    taskId,
    chain: [{ principal, task: taskId }],
    principal,
    account: 'ci:1296269',
    action: 'database.query',
    access: 'read',
    resource: 'database:orders',
    declared: {},
    deadline: now + ttlSeconds * 1000,
    remainingMs: ttlSeconds * 1000,
    jkt: null,
    ...overrides,
  }
}

/** Counts from now on: each test ends what it makes, so 0 is where none has left anything. */
export async function countingFrom(under: ProviderUnderTest): Promise<ProviderUnderTest> {
  const { aliveCount } = under
  if (aliveCount === undefined) return under
  const before = await aliveCount()
  return { ...under, aliveCount: async () => (await aliveCount()) - before }
}

export const noNote: NoteHandle = async () => {}
export const comfortableTtl = 120

export function canEnd(provider: Provider, recipe: JsonObject): boolean {
  const { revocation } = provider.guarantees(recipe)
  return revocation === 'immediate' || revocation === 'deny_policy'
}

/** Every text within the credential that only its holder may know: all but its type, times, addresses and public names. */
function secretsOf(credential: Credential): string[] {
  const open = new Set(['type', 'token_type', 'expires_at', 'address', 'region', 'access_key_id', 'username', 'name'])
  const texts: string[] = []
  const walk = (value: unknown, name: string) => {
    if (typeof value === 'string' && value.length >= 8 && !open.has(name)) texts.push(value)
    else if (typeof value === 'object' && value !== null)
      for (const [key, item] of Object.entries(value)) walk(item, key)
  }
  walk(credential, '')
  return texts
}

export function expectNoSecret(text: string, issued: Issued): void {
  for (const secret of secretsOf(issued.credential)) expect(text).not.toContain(secret)
}

export function everythingIn(error: unknown): string {
  const parts: string[] = []
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    parts.push(at.message, String(at.stack), JSON.stringify(at, Object.getOwnPropertyNames(at)))
  }
  return parts.join('\n')
}

export function expectProviderError(error: unknown): undefined {
  expect(error).toBeInstanceOf(ProviderError)
  return undefined
}

/** For `eventually`: a refusal for now is a no, anything else fails. */
export function expectNotYet(error: unknown): false {
  expect(error).toMatchObject({ name: 'ProviderError', kind: 'retryable' })
  return false
}

/** What the provider's own list has of this lease. */
export async function listedFor(provider: Provider, lease: { id: string }): Promise<{ mark: Mark; handle: Handle }[]> {
  const found: { mark: Mark; handle: Handle }[] = []
  for await (const one of provider.list?.() ?? []) if (JSON.stringify(one.mark).includes(lease.id)) found.push(one)
  return found
}

export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => new Error('it was expected to be refused and was not'),
    (error: unknown) => error,
  )
}

export async function endQuietly(provider: Provider, handle: Handle, lease: LeaseToIssue): Promise<void> {
  await provider.revoke(handle, lease.deadline, { forced: true }).catch(() => {})
}

/** Looks every 50 ms until it holds; one last look decides. */
export async function eventually(holds: () => Promise<boolean>, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  expect(await holds()).toBe(true)
}
