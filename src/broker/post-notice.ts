// One POST to the configured webhook: bounded in time, no redirects, and only to addresses that the operator means. The URL may
// itself be a secret (chat services put one in the path): errors name its origin alone.
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import type { Clock } from '../core/clock.js'
import { isLoopbackHost } from '../core/settings.js'
import {
  type AddressPolicy,
  createPinnedLookup,
  isAllowedAddress,
  type ResolveHost,
  resolveBySystem,
} from '../identity/address-policy.js'
import { signingKeys, type WebhookConfig } from '../queue/webhook-config.js'
import { signWebhook } from '../queue/webhook-signature.js'

/** Resolves when the receiver took it (2xx). Throws an Error that may be shown to operators. */
export type PostNotice = (notice: { readonly id: string; readonly body: string }) => Promise<void>

/** `resolveHost`: how names become addresses, each of which is checked; the system's resolver unless told. */
export function createPostNotice(
  webhook: WebhookConfig,
  clock: Clock,
  resolveHost: ResolveHost = resolveBySystem,
): PostNotice {
  const url = new URL(webhook.url)
  const keys = signingKeys(webhook.secret)
  const addresses = addressesOf(webhook)
  const lookup = createPinnedLookup(addresses, resolveHost)
  return async ({ id, body }) => {
    try {
      checkWrittenAddress(url, addresses)
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'hallpass',
        ...signWebhook(keys, id, body, clock.now()),
      }
      const status = await post(url, { headers, lookup }, body, webhook.timeout * 1000)
      // A redirect is no delivery, and following one would take the signed body wherever it points.
      if (status < 200 || status > 299) throw new Error(`answered ${status}`)
    } catch (error) {
      const { message, code } = error as { message?: string; code?: string }
      throw new Error(`${url.origin} ${message || code || 'failed'}`)
    }
  }
}

/** Loopback only where the operator's own URL says so. */
function addressesOf({ url, allow_private_addresses }: WebhookConfig): AddressPolicy {
  if (allow_private_addresses) return 'any'
  return isLoopbackHost(new URL(url).hostname) ? 'loopback' : 'public'
}

/** Throws what a try would fail with before it connects: an address that is not allowed, or a name that nobody knows. */
export async function checkAddress(webhook: WebhookConfig, resolveHost: ResolveHost = resolveBySystem): Promise<void> {
  const url = new URL(webhook.url)
  const addresses = addressesOf(webhook)
  checkWrittenAddress(url, addresses)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const lookup = createPinnedLookup(addresses, resolveHost)
  await new Promise<void>((resolve, reject) => {
    lookup(host, { all: true }, (error) => (error ? reject(error) : resolve()))
  })
}

/** An address written in the URL is never looked up, so the pinned lookup would not see it. */
function checkWrittenAddress(url: URL, addresses: AddressPolicy): void {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0 && !isAllowedAddress(host, addresses)) {
    throw new Error('is at an address that is not public (allow_private_addresses)')
  }
}

function post(
  url: URL,
  options: { headers: Record<string, string | number>; lookup: ReturnType<typeof createPinnedLookup> },
  body: string,
  timeoutMs: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    // A connection of its own: a kept one would outlive the address check.
    const outgoing = send(url, { method: 'POST', agent: false, ...options })
    const timer = setTimeout(() => outgoing.destroy(new Error(`did not answer in ${timeoutMs} ms`)), timeoutMs)
    outgoing.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    outgoing.on('response', (response) => {
      clearTimeout(timer)
      // What it says besides is nothing to us.
      response.destroy()
      resolve(response.statusCode ?? 0)
    })
    outgoing.end(body)
  })
}
