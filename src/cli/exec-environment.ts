// Which variables a command is given for its credentials. Two that want one name stop the command
// before it starts: it would otherwise run with a credential that it was not meant to use.
import type { Credential, CredentialAnswer } from '../client/index.js'
import type { ExplicitVariable } from './arguments.js'

export interface HeldCredential {
  /** As given on the command line (`NAME:action=resource`). */
  readonly name: string | null
  readonly answer: Pick<CredentialAnswer, 'credential' | 'lease' | 'env'>
}

/** What cannot be done without guessing. The message names variables and fields, never a value. */
export class ExecEnvironmentError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ExecEnvironmentError'
  }
}

/** The variables for all credentials and `--env`. Throws ExecEnvironmentError for a collision or an unknown field. */
export function credentialVariables(
  held: readonly HeldCredential[],
  explicit: readonly ExplicitVariable[],
): Record<string, string> {
  const variables = new Map<string, string>()
  const set = (variable: string, value: string, from: string) => {
    // Both would be cut or refused by the system further down, with an error that quotes the value.
    if (value.includes('\0')) throw new ExecEnvironmentError(`${variable} (${from}) holds a NUL byte`)
    if (variables.has(variable)) {
      throw new ExecEnvironmentError(
        `two credentials want to set ${variable} (the second is ${from}): name them or use --env`,
      )
    }
    variables.set(variable, value)
  }
  for (const one of held) {
    for (const [variable, value] of Object.entries(ownVariables(one))) set(variable, value, describe(one))
  }
  for (const { variable, credential, field } of explicit) {
    const one = held.find(({ name }) => name === credential)
    if (one === undefined) throw new ExecEnvironmentError(`--env ${variable}: there is no such credential`)
    set(variable, fieldOf(one, field), describe(one))
  }
  return Object.fromEntries(variables)
}

/** The texts of a credential by name: a Vault secret's own fields, else the members of the credential. */
export function credentialFields(credential: Credential): Map<string, string> {
  const { type: _, ...members } = credential
  const { data, ...rest } = members as Record<string, unknown>
  const fields = new Map<string, string>()
  const own = credential.type === 'vault_secret' ? (data as Record<string, unknown>) : {}
  for (const [field, value] of [...Object.entries(rest), ...Object.entries(own)]) {
    if (typeof value === 'string') fields.set(field, value)
    else if (value !== null && value !== undefined) fields.set(field, JSON.stringify(value))
  }
  return fields
}

function ownVariables(held: HeldCredential): Record<string, string> {
  const { credential, env } = held.answer
  if (env !== undefined) return Object.fromEntries(Object.entries(env).map(([name, text]) => [name, fill(held, text)]))
  switch (credential.type) {
    case 'aws':
      return {
        AWS_ACCESS_KEY_ID: credential.access_key_id,
        AWS_SECRET_ACCESS_KEY: credential.secret_access_key,
        AWS_SESSION_TOKEN: credential.session_token,
        AWS_REGION: credential.region,
      }
    case 'vault_token':
      return { VAULT_TOKEN: credential.token, VAULT_ADDR: credential.address }
    case 'vault_secret':
      return secretVariables(held)
    case 'jwt':
      return { [`${prefixOf(held)}HALLPASS_CREDENTIAL`]: credential.token }
  }
}

/** `database` and `username` make DATABASE_USERNAME; what the provider says of the lease itself is not one of its fields. */
function secretVariables(held: HeldCredential): Record<string, string> {
  const type = held.answer.lease.resource.split(':', 1)[0] ?? ''
  const variables: Record<string, string> = {}
  for (const [field, value] of credentialFields(held.answer.credential)) {
    if (field === 'expires_at') continue
    const variable = `${prefixOf(held)}${variableName(type)}_${variableName(field)}`
    if (Object.hasOwn(variables, variable)) {
      throw new ExecEnvironmentError(`two fields of ${describe(held)} want to set ${variable}: use --env`)
    }
    variables[variable] = value
  }
  return variables
}

/** Replaces `${credential.field}`. The broker has filled everything else, so anything else left is a mistake of the grant. */
function fill(held: HeldCredential, template: string): string {
  return template.replace(/\$\{([^}]*)\}/g, (_, reference: string) => {
    const field = /^credential\.(.+)$/s.exec(reference)?.[1]
    if (field === undefined)
      throw new ExecEnvironmentError(`the grant's env names \${${reference}}, which nothing fills`)
    return fieldOf(held, field)
  })
}

function fieldOf(held: HeldCredential, field: string): string {
  const fields = credentialFields(held.answer.credential)
  const value = fields.get(field)
  if (value !== undefined) return value
  throw new ExecEnvironmentError(`${describe(held)} has no field ${field}; it has ${[...fields.keys()].join(', ')}`)
}

function prefixOf(held: HeldCredential): string {
  return held.name === null ? '' : `${variableName(held.name)}_`
}

function variableName(text: string): string {
  return text.toUpperCase().replace(/[^A-Z0-9]+/g, '_')
}

function describe(held: HeldCredential): string {
  const { action, resource } = held.answer.lease
  return held.name === null ? `${action} on ${resource}` : `${held.name}: ${action} on ${resource}`
}
