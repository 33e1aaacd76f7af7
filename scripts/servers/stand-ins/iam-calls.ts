// The few calls of IAM that early revocation uses, and CreateRole for whoever sets a test up.
import { randomBytes } from 'node:crypto'
import { AwsFault } from './aws-query.js'
import { type AwsCall, checkDocument, requireSigned, type StandInRole, type StsState } from './sts-calls.js'

/** Characters of a role's inline policies together, white space not counted. */
const maxInlineCharacters = 10_240

export const iamCalls: Readonly<Record<string, AwsCall>> = {
  CreateRole: (state, form, caller) => {
    requireSigned(caller)
    const name = form.get('RoleName') ?? ''
    if (state.roles.has(name)) throw new AwsFault(409, 'EntityAlreadyExists', `Role with name ${name} already exists.`)
    const seconds = Number(form.get('MaxSessionDuration') ?? 3600)
    return { Role: roleXml(name, createRole(state, name, seconds, form.get('AssumeRolePolicyDocument') ?? '')) }
  },
  GetRole: (state, form, caller) => {
    requireSigned(caller)
    return { Role: roleXml(form.get('RoleName') ?? '', resolveRole(state, form)) }
  },
  PutRolePolicy: (state, form, caller) => {
    requireSigned(caller)
    const role = resolveRole(state, form)
    const [name, document] = [form.get('PolicyName') ?? '', form.get('PolicyDocument') ?? '']
    checkDocument(document)
    const all = new Map(role.policies).set(name, document)
    const characters = [...all.values()].reduce((sum, text) => sum + text.replace(/\s/g, '').length, 0)
    if (characters > maxInlineCharacters) {
      throw new AwsFault(409, 'LimitExceeded', `Maximum policy size of ${maxInlineCharacters} bytes exceeded for role`)
    }
    role.policies = all
    return {}
  },
  GetRolePolicy: (state, form, caller) => {
    requireSigned(caller)
    const [role, name] = [resolveRole(state, form), form.get('PolicyName') ?? '']
    const document = role.policies.get(name)
    if (document === undefined)
      throw new AwsFault(404, 'NoSuchEntity', `The role policy with name ${name} cannot be found.`)
    // As AWS answers it: percent-encoded by RFC 3986.
    const encoded = encodeURIComponent(document).replace(
      /[!'()*]/g,
      (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
    )
    return { RoleName: form.get('RoleName') ?? '', PolicyName: name, PolicyDocument: encoded }
  },
  DeleteRolePolicy: (state, form, caller) => {
    requireSigned(caller)
    if (!resolveRole(state, form).policies.delete(form.get('PolicyName') ?? '')) {
      throw new AwsFault(404, 'NoSuchEntity', 'The role policy cannot be found.')
    }
    return {}
  },
  ListRolePolicies: (state, form, caller) => {
    requireSigned(caller)
    return { PolicyNames: [...resolveRole(state, form).policies.keys()], IsTruncated: 'false' }
  },
}

export function createRole(state: StsState, name: string, maxSessionSeconds = 3600, trust = ''): StandInRole {
  const id = `AROA${randomBytes(8).toString('hex').toUpperCase()}`
  const arn = `arn:aws:iam::${state.account}:role/${name}`
  const role: StandInRole = { id, arn, maxSessionSeconds, trust, policies: new Map() }
  state.roles.set(name, role)
  return role
}

function resolveRole(state: StsState, form: URLSearchParams): StandInRole {
  const name = form.get('RoleName') ?? ''
  const role = state.roles.get(name)
  if (!role) throw new AwsFault(404, 'NoSuchEntity', `The role with name ${name} cannot be found.`)
  return role
}

function roleXml(name: string, role: StandInRole) {
  return {
    Path: '/',
    RoleName: name,
    RoleId: role.id,
    Arn: role.arn,
    CreateDate: '2026-01-01T00:00:00Z',
    AssumeRolePolicyDocument: encodeURIComponent(role.trust),
    MaxSessionDuration: String(role.maxSessionSeconds),
  }
}
