// Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 over id, time and body, so that none of them can be changed
// and an old delivery cannot be sent again as a new one.
import { createHmac } from 'node:crypto'

export interface SignedHeaders {
  readonly 'webhook-id': string
  readonly 'webhook-timestamp': string
  readonly 'webhook-signature': string
}

/** `at`: epoch milliseconds of this try. One signature per key: receivers take any that fits. */
export function signWebhook(keys: readonly Buffer[], id: string, body: string, at: number): SignedHeaders {
  const timestamp = String(Math.floor(at / 1000))
  const signatures = keys.map(
    (key) => `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
  )
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') }
}
