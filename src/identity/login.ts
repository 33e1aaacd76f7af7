// How a person gets a token of an operators' issuer: the `login:` setting, and what is published of it. There is no client
// secret: a command on somebody's laptop cannot keep one (RFC 8252 section 8.5).
import { z } from 'zod'
import type { SettingProblem } from '../core/settings.js'

const visible = z
  .string()
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 'expected visible ASCII without quotes or backslash')

export const loginConfig = z.strictObject({
  /** Registered at the issuer as a public client with the redirect URI http://127.0.0.1/callback, any port. */
  client_id: visible,
  scopes: z
    .array(visible)
    .refine((scopes) => scopes.includes('openid'), 'expected openid among them')
    .default(['openid']),
  /** Which of the two is shown to Hallpass. */
  token: z.enum(['id_token', 'access_token'], 'expected id_token or access_token').default('id_token'),
})
export type LoginConfig = z.output<typeof loginConfig>

/** What a client needs to log a person in. */
export interface PublishedLogin extends LoginConfig {
  readonly name: string
  readonly issuer: string
  readonly audience: string
}

/** An ID token is for the client that asked for it (OIDC Core section 2): a login that nobody here would accept is refused at load. */
export function loginProblems(name: string, login: LoginConfig, audiences: readonly string[]): SettingProblem[] {
  if (login.token !== 'id_token' || audiences.includes(login.client_id)) return []
  const message = `an ID token's audience is "${login.client_id}", which is not among this issuer's audiences`
  return [{ path: [name, 'login', 'client_id'], message }]
}
