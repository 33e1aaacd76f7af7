// RFC 7662. A token of ours is active only if the ledger says so: unknown, ended, late, locked → false; ledger down → 503.
import { z } from 'zod'
import { introspection } from '../api/introspection.js'
import type { Caller, Parts } from '../broker/parts.js'
import { isOwn } from '../broker/task-access.js'
import { equalInConstantTime, sha256Hex } from '../core/hash.js'
import { isId } from '../core/ids.js'
import { parseRawToken, type RawToken } from '../identity/raw-token.js'
import type { Lease } from '../ledger/lease.js'
import { callerOf } from './access.js'
import { type Route, route } from './route.js'

/** `client_id` is what OAuth libraries send along; who asks is who its subject token says. */
const form = z.strictObject({
  token: z.string().min(1).max(65_536),
  token_type_hint: z.string().max(64).optional(),
  client_id: z.string().max(2048).optional(),
})

export const oauthRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/oauth/introspect',
    access: 'caller',
    summary: 'Whether a token that Hallpass minted is to be honoured now.',
    form,
    answer: introspection,
    oauth: true,
    async run({ parts, identity, body }) {
      return { status: 200, body: await introspect(parts, callerOf(identity), body.token.trim()) }
    },
  }),
]

/** Read-only on the ledger; what is no token of ours costs no look at it. */
async function introspect(parts: Parts, caller: Caller, text: string): Promise<z.infer<typeof introspection>> {
  const token = readToken(text)
  const jti = token?.payload.jti
  if (!token || jti === undefined || !isId('lease', jti)) return { active: false }
  const lease = await parts.ledger.findLease(jti)
  // The ledger knows the digest of what was handed out: another text with the same `jti`, however signed, is not it.
  const digest = sha256Hex(text)
  if (!lease?.fingerprints.some((known) => equalInConstantTime(known, digest))) return { active: false }
  if (!(await parts.ledger.isLive(jti))) return { active: false }
  const exp = token.payload.exp ?? Math.floor(lease.expiresAt / 1000)
  if (!(await mayKnowMore(parts, caller, lease, token))) return { active: true, exp }
  return { ...token.claims, active: true, exp, token_type: isDpopBound(token) ? 'DPoP' : 'Bearer' }
}

/** A token bound to a certificate is a bearer's by its type (RFC 8705 section 3). */
function isDpopBound({ claims: { cnf } }: RawToken): boolean {
  return typeof cnf === 'object' && cnf !== null && 'jkt' in cnf
}

function readToken(text: string): RawToken | null {
  try {
    return parseRawToken(text)
  } catch {
    return null
  }
}

/** The lease's owner, or whom the token is addressed to. Everybody else learns that it is good, and until when. */
async function mayKnowMore(parts: Parts, { principal }: Caller, lease: Lease, token: RawToken): Promise<boolean> {
  if (token.payload.aud.includes(principal.subject) || token.payload.aud.includes(principal.id)) return true
  const task = await parts.ledger.findTask(lease.record.task)
  return task !== null && isOwn(task, principal)
}
