// What is alive at Vault and ours. Vault lists no tokens by role or metadata: all accessors are read, then each is looked at.
// That needs sudo on auth/token/accessors, a wide right, so it is optional: without it nothing is listed, and that is said once.
import { type Handle, type Mark, ProviderError } from './provider.js'
import { isRefusal, isSuccess, parseAccessors, parseTokenLookup, refusal } from './vault-answers.js'
import { toHandle } from './vault-handle.js'
import { findLeaseIn, markOf } from './vault-mark.js'
import { readClusterId, type VaultParts } from './vault-parts.js'
import type { VaultAnswer } from './vault-transport.js'

export interface Listed {
  mark: Mark
  handle: Handle
}

/** One provider's listing, and what it remembers from pass to pass. */
export interface VaultListing {
  /** One pass. Throws ProviderError; `permanent` when it is not allowed, once, and then yields nothing. */
  list(): AsyncIterable<Listed>
  /** For `doctor`: whether it is allowed. Throws ProviderError. */
  isAllowed(): Promise<boolean>
}

/** Looked up in one pass; the next goes on where this one stopped. */
const lookupsPerPass = 5_000
const lookupsAtOnce = 4
const longestPassMs = 30_000
/** Vault reads every accessor from its storage for this one answer. */
const longestListMs = 30_000
/** About 300,000 tokens. */
const maxListBytes = 8 * 1024 * 1024
/** Every denied call is one in Vault's own audit. */
const askAgainMs = 3_600_000
const path = 'auth/token/accessors'

interface Memory {
  /** Accessors of tokens that are not ours: their metadata never changes. */
  strangers: Set<string>
  lookedUpLast: string
  /** Monotonic milliseconds. */
  deniedUntil: number
  wasDenied: boolean
}

/** What carries our mark at this Vault, for the comparison with the ledger. */
export function createVaultListing(vault: VaultParts): VaultListing {
  const memory: Memory = { strangers: new Set(), lookedUpLast: '', deniedUntil: 0, wasDenied: false }
  return {
    list: () => listOnce(vault, memory),
    isAllowed: async () => {
      const answer = await readAccessors(vault)
      if (answer.status === 403) return false
      if (answer.status !== 404) parseAccessors(answer)
      return true
    },
  }
}

async function* listOnce(vault: VaultParts, memory: Memory): AsyncGenerator<Listed> {
  const startedAt = vault.clock.monotonic()
  if (startedAt < memory.deniedUntil) return
  const answer = await readAccessors(vault)
  if (answer.status === 403) return denied(vault, memory)
  memory.wasDenied = false
  const due = chooseDue(memory, answer.status === 404 ? [] : parseAccessors(answer))
  const clusterId = await readClusterId(vault)
  for (let i = 0; i < due.length; i += lookupsAtOnce) {
    if (vault.clock.monotonic() - startedAt > longestPassMs) return
    const together = due.slice(i, i + lookupsAtOnce)
    const found = await Promise.all(together.map((accessor) => lookUp(vault, memory, accessor, clusterId)))
    memory.lookedUpLast = together.at(-1) ?? memory.lookedUpLast
    for (const listed of found) if (listed !== null) yield listed
  }
}

function denied(vault: VaultParts, memory: Memory): void {
  memory.deniedUntil = vault.clock.monotonic() + askAgainMs
  if (memory.wasDenied) return
  memory.wasDenied = true
  throw new ProviderError(
    'permanent',
    `Hallpass may not list ${path}: orphans at this Vault are not looked for (optional)`,
  )
}

/** In the order of their names from where the last pass stopped, so that every one has its turn however many there are. */
function chooseDue(memory: Memory, accessors: readonly string[]): string[] {
  const alive = new Set(accessors)
  for (const stranger of memory.strangers) if (!alive.has(stranger)) memory.strangers.delete(stranger)
  const due = [...alive].filter((accessor) => !memory.strangers.has(accessor)).sort()
  const next = due.findIndex((accessor) => accessor > memory.lookedUpLast)
  const inTurn = next < 0 ? due : [...due.slice(next), ...due.slice(0, next)]
  return inTurn.slice(0, lookupsPerPass)
}

async function lookUp(vault: VaultParts, memory: Memory, accessor: string, clusterId: string): Promise<Listed | null> {
  const { namespace, timeout, token_role } = vault.config
  const call = { method: 'POST' as const, path: 'auth/token/lookup-accessor', body: { accessor }, namespace }
  const answer = await vault.login.send({ ...call, timeoutMs: timeout * 1000 })
  // Vault's no about this one (it ended meanwhile, or its entry is broken) is no reason to leave out the others.
  if (isRefusal(answer) && [400, 404, 500].includes(answer.status)) return null
  if (!isSuccess(answer)) throw refusal(answer, 'looking up a token')
  const token = parseTokenLookup(answer)
  const lease = token.path === `auth/token/create/${token_role}` ? findLeaseIn(token.meta ?? {}, vault.owner) : null
  if (lease === null) {
    memory.strangers.add(accessor)
    return null
  }
  if (token.ttl <= 0) return null
  const handle = toHandle({
    // Only a lease's token of kind `token` may be used without end.
    kind: token.num_uses === 0 ? 'token' : 'secret',
    accessor,
    cluster_id: clusterId,
    namespace,
    // Vault tells whole seconds, cut off.
    noted_at: (token.creation_time + 1) * 1000,
    listed: true,
  })
  return { mark: markOf(lease), handle }
}

/** A GET that says it is a LIST: gateways pass it on. */
function readAccessors({ config, login }: VaultParts): Promise<VaultAnswer> {
  const limits = { timeoutMs: longestListMs, maxBytes: maxListBytes }
  return login.send({ method: 'GET', path: `${path}?list=true`, namespace: config.namespace, ...limits })
}
