// The way back at Vault: the token by its accessor, then its secret's lease synchronously; then look whether both are gone.
import { ProviderError } from './provider.js'
import { isSuccess, parseAccessorLookup, parseAccessorRevocation, parseLeaseLookup, refusal } from './vault-answers.js'
import type { VaultHandle } from './vault-handle.js'
import { readClusterId, type VaultParts } from './vault-parts.js'
import type { VaultAnswer } from './vault-transport.js'

const syncRevokeMs = 10_000
// Vault gives a request this long at most, whatever became of the one who asked.
const longestRequestMs = 90_000
const mintSlackMs = 2_000
const rememberedAccessors = 10_000

/** Ends all that the handle names; idempotent. Throws ProviderError while anything is in doubt. */
export async function revokeAtVault(vault: VaultParts, handle: VaultHandle): Promise<'revoked' | 'gone'> {
  await checkCluster(vault, handle)
  if (isUnaccounted(handle)) {
    // A secret read while its token is revoked outlives the token (seen in most of such races), and nobody knows its id.
    if (vault.clock.now() < handle.noted_at + vault.config.timeout * 1000 + mintSlackMs) {
      throw new ProviderError('retryable', 'the secret of this lease may still be on its way')
    }
    const token = await lookUpAccessor(vault, handle)
    if (token !== 'gone' && token.numUses === 2) rememberUnused(vault, handle.accessor)
  }
  return endAtVault(vault, handle)
}

/** The two revocations in their order. Only for a handle whose mint is over. */
export async function endAtVault(vault: VaultParts, handle: VaultHandle): Promise<'revoked' | 'gone'> {
  const token = parseAccessorRevocation(
    await send(vault, handle, 'auth/token/revoke-accessor', { accessor: handle.accessor }),
  )
  if (handle.lease_id === undefined) return token
  if (token === 'gone' && (await lookUpLease(vault, handle, handle.lease_id)) === 'gone') return 'gone'
  // Revoking the token alone returns before the secret is gone; without `sync` a failing engine is not seen here.
  const body = { lease_id: handle.lease_id, sync: true }
  const answer = await send(vault, handle, 'sys/leases/revoke', body, syncRevokeMs)
  if (!isSuccess(answer)) throw refusal(answer, 'revoking the secret')
  return 'revoked'
}

/** What is true now. Anything but a plain yes or no of the cluster that minted it is `unknown`. */
export async function probeAtVault(vault: VaultParts, handle: VaultHandle): Promise<'alive' | 'dead' | 'unknown'> {
  // What was copied out of a KV engine lives until somebody changes it there: nothing here can tell.
  if (handle.kind === 'kv') return 'unknown'
  try {
    await checkCluster(vault, handle)
    const token = await lookUpAccessor(vault, handle)
    if (handle.lease_id !== undefined) {
      const ttl = await lookUpLease(vault, handle, handle.lease_id)
      if (ttl !== 'gone') return ttl > 0 ? 'alive' : 'unknown'
      return token === 'gone' ? 'dead' : 'unknown'
    }
    if (token !== 'gone') return (handle.kind === 'token' || handle.listed) && token.ttl > 0 ? 'alive' : 'unknown'
    return isUnaccounted(handle) && !hasEndedByItself(vault, handle) ? 'unknown' : 'dead'
  } catch (error) {
    if (error instanceof ProviderError) return 'unknown'
    throw error
  }
}

/** Whether the token may have read a secret whose lease nobody noted. */
function isUnaccounted(handle: VaultHandle): boolean {
  return handle.kind === 'secret' && handle.lease_id === undefined && handle.nothing_minted !== true
}

/** Never used, or so long ago that the longest request and the longest life that such a secret has are both over. */
function hasEndedByItself(vault: VaultParts, handle: VaultHandle): boolean {
  if (vault.unused.has(handle.accessor)) return true
  if (handle.default_ttl === undefined) return false
  return vault.clock.now() > handle.noted_at + longestRequestMs + handle.default_ttl * 1000
}

function rememberUnused(vault: VaultParts, accessor: string): void {
  vault.unused.add(accessor)
  for (const oldest of vault.unused) {
    if (vault.unused.size <= rememberedAccessors) break
    vault.unused.delete(oldest)
  }
}

async function checkCluster(vault: VaultParts, handle: VaultHandle): Promise<void> {
  if ((await readClusterId(vault)) !== handle.cluster_id) {
    throw new ProviderError('retryable', 'another Vault cluster answers at this address than the one that minted')
  }
}

async function lookUpAccessor(vault: VaultParts, handle: VaultHandle) {
  return parseAccessorLookup(await send(vault, handle, 'auth/token/lookup-accessor', { accessor: handle.accessor }))
}

async function lookUpLease(vault: VaultParts, handle: VaultHandle, leaseId: string) {
  return parseLeaseLookup(await send(vault, handle, 'sys/leases/lookup', { lease_id: leaseId }))
}

function send(
  vault: VaultParts,
  handle: VaultHandle,
  path: string,
  body: { accessor: string } | { lease_id: string; sync?: boolean },
  timeoutMs = vault.config.timeout * 1000,
): Promise<VaultAnswer> {
  return vault.login.send({ method: 'POST', path, body, namespace: handle.namespace, timeoutMs })
}
