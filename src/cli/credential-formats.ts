// `request --format`: what other programs read, exactly as they read it.
import type { Credential, CredentialAnswer } from '../client/index.js'
import { credentialFields, credentialVariables } from './exec-environment.js'
import { UsageError } from './exit-codes.js'

export const credentialFormats = ['json', 'env', 'aws', 'git', 'kubernetes'] as const
export type CredentialFormat = (typeof credentialFormats)[number]

/** The text for stdout, without the last line feed. Throws UsageError where this credential has no such form. */
export function formatCredential(answer: CredentialAnswer, format: CredentialFormat): string {
  switch (format) {
    case 'json':
      return JSON.stringify(answer, null, 2)
    case 'env':
      return formatShell(answer)
    case 'aws':
      return formatAws(answer.credential)
    case 'git':
      return formatGit(answer.credential)
    case 'kubernetes':
      return formatKubernetes(answer.credential)
  }
}

/** For `eval "$(hallpass request ... --format env)"`: quoted so that no value can be more than a value. */
function formatShell(answer: CredentialAnswer): string {
  const variables = credentialVariables([{ name: null, answer }], [])
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'`)
    .join('\n')
}

/** `credential_process` of the AWS SDKs and CLI. */
function formatAws(credential: Credential): string {
  if (credential.type !== 'aws') throw wrongType(credential, 'aws')
  return JSON.stringify({
    Version: 1,
    AccessKeyId: credential.access_key_id,
    SecretAccessKey: credential.secret_access_key,
    SessionToken: credential.session_token,
    Expiration: toWholeSeconds(credential.expires_at),
  })
}

/** git-credential(1): `key=value` lines, so a value with a line feed would be two of them. */
function formatGit(credential: Credential): string {
  const fields = credentialFields(credential)
  const password = credential.type === 'vault_secret' ? fields.get('password') : fields.get('token')
  if (password === undefined) throw wrongType(credential, 'git')
  // Git hosts take any user name with a token; this one is what GitHub's own documentation uses.
  const username = fields.get('username') ?? 'x-access-token'
  if (/[\n\r\0]/.test(username + password)) throw new UsageError('--format git: the credential holds a line feed')
  const expiry = Math.floor(Date.parse(credential.expires_at) / 1000)
  return `username=${username}\npassword=${password}\npassword_expiry_utc=${expiry}`
}

/** client-go credential plugins, `client.authentication.k8s.io/v1`. */
function formatKubernetes(credential: Credential): string {
  const token = credentialFields(credential).get('token')
  if (token === undefined) throw wrongType(credential, 'kubernetes')
  return JSON.stringify({
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { expirationTimestamp: toWholeSeconds(credential.expires_at), token },
  })
}

/** Rounded down: some readers take no fraction, and none may believe in it for longer than it lives. */
function toWholeSeconds(timestamp: string): string {
  return `${new Date(Date.parse(timestamp)).toISOString().slice(0, 19)}Z`
}

function wrongType(credential: Credential, format: CredentialFormat): UsageError {
  return new UsageError(`--format ${format}: a credential of type ${credential.type} has no such form`)
}
