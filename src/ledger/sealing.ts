// Handles are sealed before they are stored: AES-256-GCM, random 96-bit nonce, associated data that binds the deployment, the
// lease and the provider, key id in front. A handle cut out of one lease opens in no other.
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto'
import { canonicalJson } from '../core/canonical-json.js'
import type { Secret } from '../core/secret.js'
import type { Handle } from '../providers/provider.js'

export interface Sealing {
  seal(handle: Handle, lease: string, provider: string): string
  /** Throws when the text was altered, is another lease's, or no configured key made it. */
  unseal(sealed: string, lease: string, provider: string): Handle
  /**
   * How a secret is known again without being kept: 96 bits of an HMAC-SHA-256 under a key made of each sealing key, the one
   * to keep first. A plain hash would let whoever reads Redis guess at a weak one.
   */
  digestsOf(secret: string): string[]
}

/** `keys`: 32 bytes in base64, a comma-separated list while rotating; the first one seals, all of them unseal. */
export function createSealing(keys: Secret, deployment: string): Sealing {
  const known = keys
    .reveal()
    .split(',')
    .map((text) => {
      const key = Buffer.from(text.trim(), 'base64')
      if (key.length !== 32)
        throw new Error('keys.sealing: expected 32 bytes in base64, or a comma-separated list of such')
      const digestKey = createHmac('sha256', key).update(`hallpass digest\0${deployment}`).digest()
      return { key, digestKey, id: createHash('sha256').update(key).digest('base64url').slice(0, 8) }
    })
  const [first] = known
  if (!first) throw new Error('keys.sealing: expected 32 bytes in base64')
  const boundTo = (lease: string, provider: string) => Buffer.from(canonicalJson([deployment, lease, provider]))
  return {
    digestsOf: (secret) =>
      known.map(({ digestKey }) => createHmac('sha256', digestKey).update(secret).digest('base64url').slice(0, 16)),
    seal(handle, lease, provider) {
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', first.key, nonce).setAAD(boundTo(lease, provider))
      const body = Buffer.concat([cipher.update(canonicalJson(handle), 'utf8'), cipher.final()])
      return `${first.id}.${Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url')}`
    },
    unseal(sealed, lease, provider) {
      const [id, text = ''] = sealed.split('.')
      const key = known.find((candidate) => candidate.id === id)?.key
      if (!key) throw new Error('the sealed handle was made with a key that is not configured')
      const bytes = Buffer.from(text, 'base64url')
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12))
      decipher.setAAD(boundTo(lease, provider)).setAuthTag(bytes.subarray(12, 28))
      const body = Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()])
      return JSON.parse(body.toString('utf8')) as Handle
    },
  }
}
