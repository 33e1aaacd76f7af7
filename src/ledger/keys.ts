// The names of the ledger's keys in Redis. All carry one hash tag and so lie in one slot: one Lua script sees everything, on
// standalone, Sentinel and Cluster alike. Scripts build the same names from the tag; docs/architecture.md lists them all.
import { createHash } from 'node:crypto'

/** The tag all keys of a ledger start with. */
export const ledgerTag = (prefix: string) => `{${prefix}}:`

/** What `due:<name>` is used for beside the providers' leases: no provider may be called one of these. */
export const ownDueIndexes: readonly string[] = ['approvals', 'locks', 'notices', 'revocations', 'tasks']

/** The channel on which settled leases are published. */
export const settledChannel = (prefix: string) => `${ledgerTag(prefix)}settled`

/**
 * Holders are named by a digest: subjects can be 2 KB long, and a key's name must not be chosen by a caller.
 * 128 bits of SHA-256, base64url.
 */
export function holderId(kind: 'account' | 'session', name: string): string {
  return createHash('sha256').update(`${kind}\0${name}`).digest('base64url').slice(0, 22)
}

/** The session is the instance, or without one the account within a window. */
export function sessionName({ account, instance }: { account: string; instance: string | null }): string {
  return instance === null ? account : `${account}#${instance}`
}
