// Answers to a request for a credential, as the wire has them.
import { type Credential, type CredentialAnswer, credentialAnswer } from '../../src/api/credentials.js'

export const expiresAt = '2031-05-06T07:08:09.500Z'

export const credentials = {
  jwt: { type: 'jwt', token: 'minted.jwt.token', token_type: 'Bearer', expires_at: expiresAt },
  secret: { type: 'vault_secret', data: { username: 'v-reader', password: "it's $(id)" }, expires_at: expiresAt },
  vaultToken: { type: 'vault_token', token: 'hvs.minted', address: 'https://vault.test:8200', expires_at: expiresAt },
  aws: {
    type: 'aws',
    access_key_id: 'ASIAEXAMPLE',
    secret_access_key: 'wJalr/secret',
    session_token: 'FwoG//token',
    region: 'eu-west-1',
    expires_at: expiresAt,
  },
} as const satisfies Record<string, Credential>

/** Parsed by the contract's schema, so that no test builds on an answer that cannot be. */
export function answerWith(
  credential: Credential,
  {
    action = 'database.query',
    resource = 'database:orders',
    env,
  }: { action?: string; resource?: string; env?: Record<string, string> } = {},
): CredentialAnswer {
  return credentialAnswer.parse({
    lease: {
      id: `lease_${'0'.repeat(26)}`,
      task_id: `task_${'0'.repeat(26)}`,
      principal: 'ci:agent',
      account: 'ci:1',
      action,
      access: 'read',
      resource,
      provider: 'p',
      state: 'active',
      revocation: 'immediate',
      issued_at: expiresAt,
      expires_at: expiresAt,
      provider_expires_at: expiresAt,
      provider_ref: null,
      follows: null,
      ended_at: null,
      end_reason: null,
      receipt: null,
    },
    credential,
    decision: { id: `dec_${'0'.repeat(26)}`, effect: 'permit', policies: ['p1'] },
    ...(env && { env }),
  })
}
