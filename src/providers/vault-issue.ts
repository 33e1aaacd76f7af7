// The way out at Vault: one orphan token per lease, noted before the secret is read with it; the secret cut to the lease.
import { toTimestamp } from '../core/clock.js'
import { type Credential, type Issued, type LeaseToIssue, type NoteHandle, ProviderError } from './provider.js'
import { parseAnswer, secretAnswer } from './vault-answers.js'
import { createChild } from './vault-child.js'
import type { VaultRecipe } from './vault-config.js'
import { toHandle, type VaultHandle } from './vault-handle.js'
import { giveUp, type Minting, mintSecret, readAsChild } from './vault-mint.js'
import { readClusterId, startBudget, type VaultParts } from './vault-parts.js'

/**
 * Mints once. Throws ProviderError, or what `noteHandle` threw. After a complete refusal nothing is left at Vault; after
 * a lost answer the noted handle says what to look for.
 */
export async function issueAtVault(
  vault: VaultParts,
  lease: LeaseToIssue,
  recipe: VaultRecipe,
  noteHandle: NoteHandle,
): Promise<Issued> {
  const budget = startBudget(vault, lease.remainingMs)
  const clusterId = await readClusterId(vault, budget.call().timeoutMs)
  const child = await createChild(vault, lease, recipe, budget)
  const handle: VaultHandle = {
    kind: recipe.kind,
    accessor: child.accessor,
    cluster_id: clusterId,
    namespace: vault.config.namespace,
    noted_at: vault.clock.now(),
    default_ttl: recipe.path === null ? undefined : vault.seenTtl.get(recipe.path),
  }
  const minting: Minting = { vault, child, handle, noteHandle, budget }
  try {
    // Until the ledger has the accessor nothing of value exists: the token has read nothing yet, and nobody has it.
    await noteHandle(toHandle(handle))
  } catch (error) {
    return giveUp(minting, { ...handle, nothing_minted: true }, error)
  }
  if (recipe.path === null) return issueToken(minting, lease)
  if (recipe.kind === 'kv') return copyStanding(minting, lease, recipe.path)
  const minted = await mintSecret(minting, recipe.path)
  const expires_at = toTimestamp(Math.min(lease.deadline, minted.endsAt))
  const credential = { type: 'vault_secret', data: minted.data, expires_at }
  return issued(credential, minted.handle, minted.endsAt, publicPartsOf(minted.data, minted.leaseId))
}

function issueToken({ vault, child, handle }: Minting, lease: LeaseToIssue): Issued {
  const expires_at = toTimestamp(Math.min(lease.deadline, child.endsAt))
  const token = child.token.reveal()
  return issued({ type: 'vault_token', token, address: vault.config.address, expires_at }, handle, child.endsAt, [
    token,
  ])
}

/** A copy of a standing secret: the token ends with this read, the secret does not. */
async function copyStanding(minting: Minting, lease: LeaseToIssue, path: string): Promise<Issued> {
  const answer = await readAsChild(minting, path)
  const { data, lease_id } = parseAnswer(secretAnswer, answer, `reading ${path}`)
  if (lease_id) {
    const error = new ProviderError('permanent', `${path} gives a secret with a lease of its own: use kind secret`)
    return giveUp(minting, { ...minting.handle, lease_id }, error)
  }
  const value = kvValue(data)
  if (!value) throw new ProviderError('permanent', `${path} holds no secret`)
  const credential = { type: 'vault_secret', data: value, expires_at: toTimestamp(lease.deadline) }
  return issued(credential, minting.handle, lease.deadline, [])
}

/** Version 2 of the KV engine wraps the value beside its metadata; version 1 gives it plainly. */
function kvValue(data: Record<string, unknown> | null): Record<string, unknown> | null {
  if (data === null || !('metadata' in data) || !('data' in data)) return data
  return typeof data.data === 'object' ? (data.data as Record<string, unknown> | null) : null
}

/** What a finder of a leaked secret can hash to ask whose it is. Never the password: a hash of it would be a copy to guess at. */
function publicPartsOf(data: Record<string, unknown>, leaseId: string): string[] {
  const parts = ['username', 'access_key', 'token'].flatMap((name) => {
    const part = data[name]
    return typeof part === 'string' && part !== '' ? [part] : []
  })
  return parts.length > 0 ? parts : [leaseId]
}

function issued(credential: Credential, handle: VaultHandle, endsAt: number, fingerprintOf: string[]): Issued {
  return {
    credential,
    handle: toHandle(handle),
    providerExpiresAt: endsAt,
    providerRef: handle.accessor,
    fingerprintOf,
  }
}
