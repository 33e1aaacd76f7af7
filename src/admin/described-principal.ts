// A caller as a test describes it → a Principal, as its issuer would have made it of a token.
import { BrokerError } from '../core/errors.js'
import type { SettingProblem } from '../core/settings.js'
import { joinAttributes } from '../identity/claims.js'
import { attributeRulesOf, attributeTypesOf, type IssuerConfig } from '../identity/issuer-config.js'
import { parsePathTemplate } from '../identity/path-template.js'
import { presets } from '../identity/presets/known.js'
import type { AttributeValue, Principal } from '../identity/principal.js'
import { typeOfValue } from '../policy/schema.js'
import type { SituationRules } from './situation-rules.js'
import type { WrittenSituation } from './situation-schema.js'

type Attributes = Readonly<Record<string, AttributeValue>>

/** Null where something is wrong with it, which is then among `problems`. */
export function describedPrincipal(
  { principal: written = {}, binding }: Pick<WrittenSituation, 'principal' | 'binding'>,
  { settings, groups }: SituationRules,
  problems: SettingProblem[],
): { principal: Principal; groups: readonly string[] } | null {
  const refuse = (path: string[], message: string) => {
    problems.push({ path: ['principal', ...path], message })
    return null
  }
  const { issuer: name, subject } = written
  if (name === undefined) return refuse(['issuer'], 'is missing')
  if (subject === undefined) return refuse(['subject'], 'is missing')
  const issuer = Object.hasOwn(settings.issuers, name) ? settings.issuers[name] : undefined
  if (issuer === undefined) return refuse(['issuer'], `${name} is not in issuers:`)
  const attributes = attributesOf(issuer, subject, written.attributes, problems)
  for (const group of written.groups ?? []) {
    if (!groups.names.has(group)) refuse(['groups'], `${group} is not in groups:`)
  }
  const principal: Principal = {
    id: `${name}:${subject}`,
    issuer: name,
    subject,
    use: issuer.use,
    attributes,
    account: written.account ?? joined(issuer, name, 'account', attributes) ?? `${name}:${subject}`,
    instance: written.instance ?? joined(issuer, name, 'instance', attributes),
    sessionSeconds: issuer.session,
    binding: binding ?? 'none',
    person: issuer.use === 'operator' ? subject : null,
    tokenSha256: '0'.repeat(64),
    tokenExpiresAt: 0,
  }
  return { principal, groups: written.groups ?? groups.groupsOf(principal) }
}

/** What is written, else what a SPIFFE ID's path says; each of the type that the issuer gives. */
function attributesOf(
  issuer: IssuerConfig,
  subject: string,
  written: Attributes | undefined,
  problems: SettingProblem[],
): Attributes {
  const types = attributeTypesOf(issuer)
  const rules = issuer.type === 'oidc' ? attributeRulesOf(issuer) : {}
  const attributes: Record<string, AttributeValue> = written === undefined ? fromPath(issuer, subject) : {}
  for (const [name, value] of Object.entries(written ?? {})) {
    const type = Object.hasOwn(types, name) ? types[name] : undefined
    const path = ['principal', 'attributes', name]
    if (type === undefined) problems.push({ path, message: 'is no attribute of this issuer' })
    else if (type !== typeOfValue(value)) problems.push({ path, message: `expected ${type}, as the issuer gives it` })
    attributes[name] = rules[name]?.lowerCase && typeof value === 'string' ? value.toLowerCase() : value
  }
  return attributes
}

function fromPath(issuer: IssuerConfig, subject: string): Record<string, string> {
  if (issuer.type !== 'spiffe') return {}
  const path = /^spiffe:\/\/[^/]+(\/.*)$/.exec(subject)?.[1] ?? ''
  for (const template of issuer.paths) {
    const found = parsePathTemplate(template).match(path)
    if (found !== null) return found
  }
  return {}
}

/** Null where the issuer joins none, or what it joins is not described: a test need not name every claim. */
function joined(issuer: IssuerConfig, name: string, what: 'account' | 'instance', attributes: Attributes) {
  const preset = issuer.type === 'oidc' && issuer.preset !== undefined ? presets[issuer.preset] : null
  const names = issuer[what] ?? preset?.[what] ?? null
  if (names === null) return null
  try {
    return joinAttributes(name, names, attributes)
  } catch (error) {
    if (error instanceof BrokerError) return null
    throw error
  }
}
