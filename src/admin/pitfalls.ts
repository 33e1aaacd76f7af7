// `policy check` beyond the policies' own text: what the issuers' presets know to go wrong, in the configuration and in what
// its permits reach.
import type { LoadedConfig } from '../config/load.js'
import type { ConfigProblem } from '../config/problems.js'
import type { Settings } from '../config/schema.js'
import { attributeRulesOf, type IssuerConfig, type OidcConfig } from '../identity/issuer-config.js'
import { presets } from '../identity/presets/known.js'
import type { Preset } from '../identity/presets/preset.js'
import type { GroupMember, IssuerFacts, PitfallFacts } from '../policy/pitfall-facts.js'

/** Issuers of workloads, groups and grants as `checkPitfalls` wants them. */
export function pitfallFactsOf(settings: Settings): PitfallFacts {
  const issuers = Object.entries(settings.issuers).filter(([, issuer]) => issuer.use === 'workload')
  return {
    issuers: issuers.map(([name, issuer]) => factsOf(name, issuer)),
    groups: new Map(Object.entries(settings.groups).map(([name, members]) => [name, members.map(memberOf)])),
    grants: new Map(Object.values(settings.grants).map(({ action, access }) => [action, access])),
  }
}

function factsOf(name: string, issuer: IssuerConfig): IssuerFacts {
  if (issuer.type === 'spiffe') {
    const names = issuer.paths.flatMap((path) => [...path.matchAll(/\{([a-z0-9_]+)\}/g)].map((match) => match[1] ?? ''))
    const claims = new Map(names.map((attribute) => [attribute, `path ${attribute}`]))
    return { name, url: null, claims, required: new Map(), account: [], pitfalls: null }
  }
  const preset = presetOf(issuer)
  const claims = new Map(Object.entries(attributeRulesOf(issuer)).map(([key, { claim }]) => [key, claim.join('/')]))
  return {
    name,
    url: issuer.issuer ?? preset?.issuer ?? null,
    claims,
    required: new Map(requiredClaims(issuer.require, [])),
    account: (issuer.account ?? preset?.account ?? []).flatMap((attribute) => claims.get(attribute) ?? []),
    pitfalls: preset?.pitfalls ?? null,
  }
}

function presetOf(issuer: OidcConfig): Preset | null {
  return issuer.preset === undefined ? null : presets[issuer.preset]
}

function requiredClaims(requirement: unknown, path: readonly string[]): [string, unknown[]][] {
  if (typeof requirement === 'object' && requirement !== null && !Array.isArray(requirement)) {
    return Object.entries(requirement).flatMap(([name, inner]) => requiredClaims(inner, [...path, name]))
  }
  return [[path.join('/'), [requirement].flat()]]
}

function memberOf(member: Settings['groups'][string][number]): GroupMember {
  if (typeof member === 'string') {
    const colon = member.indexOf(':')
    return { issuer: member.slice(0, colon), subject: member.slice(colon + 1), where: new Map() }
  }
  const where = Object.entries(member.where).map(([name, value]): [string, unknown[]] => [name, [value].flat()])
  return { issuer: member.issuer, subject: null, where: new Map(where) }
}

/** What is doubtful about the issuers themselves, with its place in the configuration. */
export function checkIssuerPitfalls({ settings, problemAt }: LoadedConfig): ConfigProblem[] {
  return Object.entries(settings.issuers).flatMap(([name, issuer]) => {
    const preset = issuer.type === 'oidc' ? presetOf(issuer) : null
    if (issuer.type !== 'oidc' || preset === null) return []
    const doubts = [...vagueIssuer(issuer, preset), ...sharedAudience(issuer, preset), ...hearsay(issuer, preset)]
    const names = [...namedAccount(issuer, preset)]
    return [...doubts, ...names].map(({ path, message }) => problemAt(['issuers', name, ...path], message))
  })
}

interface Doubt {
  readonly path: readonly (string | number)[]
  readonly message: string
}

function vagueIssuer(issuer: OidcConfig, { pitfalls }: Preset): Doubt[] {
  const vague = pitfalls.vagueIssuers
  if (vague === null || issuer.issuer === undefined || !vague.pattern.test(issuer.issuer)) return []
  if (vague.fixedKeysHelp && issuer.jwks !== undefined) return []
  return [{ path: ['issuer'], message: `names more than one issuer: ${vague.why}` }]
}

/** A token for an audience that others take too can be replayed here by each of them. */
function sharedAudience(issuer: OidcConfig, { pitfalls }: Preset): Doubt[] {
  return (issuer.audience ?? []).flatMap((audience) => {
    if (!pitfalls.sharedAudiences?.test(audience)) return []
    const message = `${JSON.stringify(audience)} is an audience that other services take too, and each could use the tokens here: expected one that is made for Hallpass`
    return [{ path: ['audience'], message }]
  })
}

/** Mapped or required, a claim that the caller writes looks as good as the others. */
function hearsay(issuer: OidcConfig, { pitfalls }: Preset): Doubt[] {
  const whyNot = (claim: string) =>
    Object.entries(pitfalls.hearsay).find(([known]) =>
      known.endsWith('/') ? claim.startsWith(known) : claim === known,
    )?.[1]
  const required = requiredClaims(issuer.require, []).map(([claim]) => ({ path: ['require'], claim }))
  const mapped = Object.entries(issuer.attributes).map(([name, { claim }]) => ({
    path: ['attributes', name],
    claim: claim.join('/'),
  }))
  return [...required, ...mapped].flatMap(({ path, claim }) => {
    const why = whyNot(claim)
    return why === undefined ? [] : [{ path, message: `${claim} proves nothing: ${why}` }]
  })
}

/** The configuration's own account, of names where the preset knows ids. */
function namedAccount(issuer: OidcConfig, { pitfalls, account }: Preset): Doubt[] {
  const rules = attributeRulesOf(issuer)
  const claims = (issuer.account ?? []).map((attribute) => rules[attribute]?.claim.join('/') ?? '')
  return claims.flatMap((claim, index) => {
    const ids = Object.hasOwn(pitfalls.names, claim) ? (pitfalls.names[claim] ?? []) : []
    // What the preset has itself is as good as its issuer's tokens can do.
    if (account.includes(issuer.account?.[index] ?? '')) return []
    if (ids.length === 0 || ids.some((id) => claims.includes(id))) return []
    return [
      {
        path: ['account', index],
        message: `${claim} is a name, which can pass to somebody else: expected ${ids.join(' or ')}`,
      },
    ]
  })
}
