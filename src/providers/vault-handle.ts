// What is noted of one lease at Vault, sealed in the ledger: enough to end it and to look whether it is dead.
import { z } from 'zod'
import { type Handle, ProviderError } from './provider.js'

const handle = z.object({
  kind: z.enum(['secret', 'token', 'kv']),
  accessor: z.string().min(1),
  /** Accessors and lease ids mean nothing at another cluster, and its "no such thing" proves nothing. */
  cluster_id: z.string().min(1),
  namespace: z.string().optional(),
  /** When the accessor was noted, epoch milliseconds: nothing of value existed before. */
  noted_at: z.number(),
  /** The child token's secret, verbatim: a revocation of an id that never was succeeds too. */
  lease_id: z.string().min(1).optional(),
  /** Vault refused to mint, or what it gave was thrown away unseen: the token is all that there is to end. */
  nothing_minted: z.literal(true).optional(),
  /** The life that a secret at this path had before it was cut, as last seen: how long an unknown one can last. */
  default_ttl: z.number().optional(),
  /** Found by its accessor alone, long after its mint: what it has read lives as long as the token does. */
  listed: z.literal(true).optional(),
})
export type VaultHandle = z.output<typeof handle>

/** Throws ProviderError `permanent` for anything that is not a handle of ours. */
export function parseVaultHandle(raw: Handle): VaultHandle {
  const parsed = handle.safeParse(raw)
  if (!parsed.success) throw new ProviderError('permanent', 'this handle is none of a vault provider')
  return parsed.data
}

/** As JSON has it: members without a value are left out. */
export function toHandle(parts: VaultHandle): Handle {
  return JSON.parse(JSON.stringify(parts)) as Handle
}
