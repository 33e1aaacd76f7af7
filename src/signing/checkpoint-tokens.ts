// Audit checkpoints as signed JWTs. They have no end: a checkpoint is evidence, not a pass.
import { compactVerify, createLocalJWKSet, type JWK } from 'jose'
import type { Keyset } from './keyset.js'

const checkpointType = 'audit-checkpoint+jwt'

/** Signs checkpoints with the audit key in force at the time. `issuer` is ours. */
export function createCheckpointSigner(
  keyset: Keyset,
  issuer: string,
): (claims: { seq: number; hash: string; instance: string; time: string }) => Promise<string> {
  return (claims) => keyset.sign('audit', checkpointType, { iss: issuer, ...claims })
}

/** Verifies checkpoints by the audit's public keys, retired ones included. The function throws on anything that is none. */
export function createCheckpointVerifier(
  publicKeys: readonly JWK[],
): (jwt: string) => Promise<Record<string, unknown>> {
  const keys = createLocalJWKSet({ keys: [...publicKeys] })
  return async (jwt) => {
    const { payload, protectedHeader } = await compactVerify(jwt, keys, { algorithms: ['ES256'] })
    if (protectedHeader.typ !== checkpointType) throw new Error('it is signed, and is no checkpoint')
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload)) as Record<string, unknown>
  }
}
