import type { IncomingMessage } from 'node:http'
import { idempotencyKey } from '../api/fields.js'
import type { Idempotency } from '../broker/idempotency.js'
import { canonicalJson, type Json } from '../core/canonical-json.js'
import { invalidField } from '../core/errors.js'
import { sha256Hex } from '../core/hash.js'

/**
 * `Idempotency-Key`, within its scope, with the hash of the parsed, defaulted request: the same members in another
 * order are the same request.
 */
export function readIdempotency(headers: IncomingMessage['headers'], scope: string, body: unknown): Idempotency | null {
  const key = headers['idempotency-key']
  if (key === undefined) return null
  if (typeof key !== 'string' || !idempotencyKey.safeParse(key).success) {
    throw invalidField('Idempotency-Key', 'expected 1 to 128 visible ASCII characters')
  }
  return { key: sha256Hex(`${scope}\0${key}`).slice(0, 32), bodySha256: sha256Hex(canonicalJson(defaulted(body))) }
}

/** `"approval_id": null` asks for what a request without it asks for: nothing of ours takes a null to mean anything else. */
const defaulted = (body: unknown) =>
  JSON.parse(JSON.stringify(body, (_member, value: unknown) => (value === null ? undefined : value))) as Json
