// `hallpass dev token`: a token of the development issuer, an hour long.
import { randomUUID, sign } from 'node:crypto'
import { UsageError } from '../cli/exit-codes.js'
import { systemClock } from '../core/clock.js'
import { makeFolder } from '../core/make-folder.js'
import { devAudience, devDirectory, devIssuerUrl, devOperatorAudience } from './built-in.js'
import { readOrCreateIssuerKey } from './issuer-key.js'

/** A token. `claims` are `name=value`; they override what stands in it. Throws UsageError for a bad claim. */
export async function createDevToken(options: { claims: readonly string[]; operator: boolean }): Promise<string> {
  const claims: Record<string, string> = {}
  for (const claim of options.claims) {
    const at = claim.indexOf('=')
    if (at < 1) throw new UsageError(`--claim ${claim}: expected name=value`)
    claims[claim.slice(0, at)] = claim.slice(at + 1)
  }
  const directory = devDirectory()
  await makeFolder(directory)
  const { privateKey } = await readOrCreateIssuerKey(directory)
  const now = Math.floor(systemClock.now() / 1000)
  const payload = {
    iss: devIssuerUrl,
    sub: options.operator ? 'operator' : 'developer',
    aud: options.operator ? devOperatorAudience : devAudience,
    iat: now,
    exp: now + 3600,
    jti: randomUUID(),
    ...claims,
  }
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${part({ alg: 'ES256', typ: 'JWT', kid: 'dev' })}.${part(payload)}`
  // RFC 7518 section 3.4: the signature is R and S side by side.
  const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString(
    'base64url',
  )
  return `${input}.${signature}`
}
