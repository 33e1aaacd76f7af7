// A dynamic secret: read once with the lease's own token, its lease noted, then cut to ours. And what to do when that fails.
import { type NoteHandle, ProviderError } from './provider.js'
import { isRefusal, parseAnswer, refusal, renewAnswer, secretAnswer } from './vault-answers.js'
import type { Child } from './vault-child.js'
import { endAtVault } from './vault-end.js'
import { toHandle, type VaultHandle } from './vault-handle.js'
import type { TimeBudget, VaultParts } from './vault-parts.js'
import type { VaultAnswer } from './vault-transport.js'

/** One issue under way, with its accessor noted. */
export interface Minting {
  vault: VaultParts
  child: Child
  handle: VaultHandle
  noteHandle: NoteHandle
  budget: TimeBudget
}

export interface Minted {
  leaseId: string
  handle: VaultHandle
  data: Record<string, unknown>
  /** Epoch milliseconds at which Vault ends it. */
  endsAt: number
}

const rememberedPaths = 10_000

/** Throws ProviderError, or what `noteHandle` threw, with the secret ended where its lease is known. */
export async function mintSecret(minting: Minting, path: string): Promise<Minted> {
  const { vault, handle, noteHandle, budget } = minting
  if (budget.leftMs() <= 0) {
    return nothingMinted(minting, new ProviderError('unavailable', 'no time is left to read the secret'))
  }
  // When this answer is lost, the handle stays without a lease id: only time tells then (vault-end.ts).
  const answer = await readAsChild(minting, path)
  if (isRefusal(answer)) return nothingMinted(minting, refusal(answer, `reading ${path}`))
  const { lease_id, lease_duration, renewable, data } = parseAnswer(secretAnswer, answer, `reading ${path}`)
  if (!lease_id) {
    const message = `${path} gives nothing that Vault could revoke (no lease_id): use kind kv`
    return nothingMinted(minting, new ProviderError('permanent', message))
  }
  rememberTtl(vault, path, lease_duration)
  const known: VaultHandle = { ...handle, lease_id, default_ttl: lease_duration }
  try {
    await noteHandle(toHandle(known))
    const endsAt = await cutToLease(minting, lease_id, lease_duration, renewable)
    return { leaseId: lease_id, handle: known, data: data ?? {}, endsAt }
  } catch (error) {
    return giveUp(minting, known, error)
  }
}

/** Reads with the lease's token; a use of it is gone whatever the answer says. */
export function readAsChild({ vault, child, budget }: Minting, path: string): Promise<VaultAnswer> {
  return vault.transport.send({ method: 'GET', path, token: child.token, ...budget.call() })
}

/** Ends what there is at once, as far as that works in time, and passes the error on: the ledger's sweeper ends the rest. */
export async function giveUp({ vault, budget }: Minting, handle: VaultHandle, error: unknown): Promise<never> {
  let timer: NodeJS.Timeout | undefined
  const timeIsUp = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, budget.graceMs())
  })
  await Promise.race([endAtVault(vault, handle).catch(() => {}), timeIsUp])
  clearTimeout(timer)
  throw error
}

/** A complete answer of Vault's without a secret: nobody can have one. */
async function nothingMinted(minting: Minting, error: ProviderError): Promise<never> {
  const nothing: VaultHandle = { ...minting.handle, nothing_minted: true }
  // Noted, so that whoever cleans up need not wait until a secret that never was has run out.
  await minting.noteHandle(toHandle(nothing)).catch(() => {})
  return giveUp(minting, nothing, error)
}

/** Makes the secret end with the lease. Returns when Vault ends it, epoch milliseconds; throws when that is too late. */
async function cutToLease(
  { vault, budget }: Minting,
  leaseId: string,
  givenSeconds: number,
  renewable: boolean,
): Promise<number> {
  const asked = budget.lifetimeSeconds()
  let seconds = givenSeconds
  if (renewable) {
    const body = { lease_id: leaseId, increment: asked }
    const answer = await vault.login.send({ method: 'POST', path: 'sys/leases/renew', body, ...budget.call() })
    seconds = parseAnswer(renewAnswer, answer, 'cutting the secret to its lease (sys/leases/renew)').lease_duration
  }
  if (seconds > asked || seconds < 1) {
    const problem = renewable ? 'was not cut to the lease' : 'cannot be renewed, so not cut to the lease'
    throw new ProviderError('permanent', `the secret ${problem}: it lives ${seconds} s, the lease ${asked} s`)
  }
  return vault.clock.now() + seconds * 1000
}

function rememberTtl(vault: VaultParts, path: string, seconds: number): void {
  if (vault.seenTtl.size >= rememberedPaths) vault.seenTtl.clear()
  vault.seenTtl.set(path, seconds)
}
