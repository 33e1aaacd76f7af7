// What no part of the configuration can know alone: whether the names in one section exist in another, and whether the
// whole is safe to serve.
import type { SettingProblem } from '../core/settings.js'
import { checkRecipeTemplate } from '../grants/recipe.js'
import { attributeTypesOf } from '../identity/issuer-config.js'
import { validateIssuers } from '../identity/issuers.js'
import { checkGroups } from '../policy/groups.js'
import { checkSchemaInput, type SchemaInput } from '../policy/schema.js'
import { isLoopback, type Settings } from './schema.js'

/** What the Cedar schema is generated from. */
export function schemaInputOf(settings: Pick<Settings, 'grants' | 'resources' | 'issuers'>): SchemaInput {
  const issuers = Object.entries(settings.issuers).map(([name, issuer]) => [
    name,
    { use: issuer.use, attributes: attributeTypesOf(issuer) },
  ])
  return { grants: settings.grants, resources: settings.resources, issuers: Object.fromEntries(issuers) }
}

/** Problems with paths from the file's root, in the order of its sections. */
export function crossCheck(settings: Settings): SettingProblem[] {
  const schemaInput = schemaInputOf(settings)
  return [
    ...checkTransport(settings),
    ...checkIssuers(settings),
    ...checkSchemaInput(schemaInput),
    ...checkGroups(settings.groups, schemaInput.issuers),
    ...Object.keys(settings.grants).flatMap((action) => checkGrant(action, settings)),
  ]
}

function checkTransport(settings: Settings): SettingProblem[] {
  const { workloads, operators } = settings.listen
  const open = [workloads, operators].find((address) => address !== null && !isLoopback(address))
  if (open === undefined || open === null || settings.tls !== undefined || settings.behind_proxy) return []
  const message = `${open.host} is not loopback: expected tls, or behind_proxy: true where something before us ends TLS`
  return [{ path: ['listen'], message }]
}

function checkIssuers(settings: Settings): SettingProblem[] {
  const problems: SettingProblem[] = []
  const ours = [settings.issuer, `${settings.issuer}/federation`]
  for (const [name, issuer] of Object.entries(settings.issuers)) {
    const refuse = (path: string[], message: string) => problems.push({ path: ['issuers', name, ...path], message })
    // `env:subject` in a group would be read as a reference.
    if (name === 'env' || name === 'file') refuse([], `${name}: is how references begin; expected another name`)
    // Tokens that we minted must never come back as somebody's identity.
    if (issuer.type === 'oidc' && issuer.issuer !== undefined && ours.includes(issuer.issuer)) {
      refuse(['issuer'], 'Hallpass is no issuer of its own subject tokens')
    }
  }
  // What start-up would stop at has its line here, and is found by whoever checks a file before that.
  const known = new Set(problems.map(({ path }) => JSON.stringify(path)))
  const between = validateIssuers(settings.issuers, settings.issuer).map(({ path, message }) => {
    return { path: ['issuers', ...path], message }
  })
  return [...problems, ...between.filter(({ path }) => !known.has(JSON.stringify(path)))]
}

function checkGrant(action: string, settings: Settings): SettingProblem[] {
  const grant = settings.grants[action]
  if (grant === undefined) return []
  const problems: SettingProblem[] = []
  const refuse = (path: string[], message: string) => problems.push({ path: ['grants', action, ...path], message })
  if (!Object.hasOwn(settings.providers, grant.provider)) {
    refuse(['provider'], `${grant.provider} is not in providers:${namesOf(Object.keys(settings.providers))}`)
  }
  const types = new Set(settings.resources.map((resource) => resource.type))
  if (!types.has(grant.resourceType)) {
    refuse(['resource'], `no resource of type ${grant.resourceType} is in resources:${namesOf([...types])}`)
  }
  const group = grant.require.approval?.group
  if (group !== undefined && !Object.hasOwn(settings.groups, group)) {
    refuse(['require', 'approval'], `group ${group} is not in groups:${namesOf(Object.keys(settings.groups))}`)
  }
  const recipe = checkRecipeTemplate(grant, settings.resources)
  return [...problems, ...recipe.map(({ path, message }) => ({ path: ['grants', action, ...path], message }))]
}

function namesOf(names: readonly string[]): string {
  return names.length > 0 ? `; expected one of ${names.join(', ')}` : ''
}

/** Subject-token audiences and the providers' own: what nothing minted here may be good for. */
export function reservedAudiencesOf(settings: Pick<Settings, 'issuer' | 'issuers' | 'providers'>): string[] {
  const audiences = [settings.issuer]
  for (const issuer of Object.values(settings.issuers)) audiences.push(...(issuer.audience ?? []))
  for (const provider of Object.values(settings.providers)) {
    if (provider.type !== 'vault') continue
    audiences.push(provider.address)
    if (provider.auth.method === 'jwt' && provider.auth.audience !== undefined) audiences.push(provider.auth.audience)
  }
  return [...new Set(audiences)]
}
