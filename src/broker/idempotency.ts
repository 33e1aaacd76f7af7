// An Idempotency-Key as the stories know it: the same key buys one thing once.

export interface Idempotency {
  /** SHA-256 of the key: the caller chose it, so it does not become a name in Redis. */
  readonly key: string
  /** SHA-256 of the canonical JSON of the parsed, defaulted request. */
  readonly bodySha256: string
}
