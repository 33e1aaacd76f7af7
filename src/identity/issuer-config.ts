// The `issuers:` section of the configuration: its shape, its defaults, and what one entry must be by itself.
import { z } from 'zod'
import { duration, httpsUrl } from '../core/settings.js'
import { bundleConfig } from './bundle-config.js'
import type { AttributeRules, Requirement } from './claims.js'
import { signatureAlgorithms } from './key-set.js'
import { loginConfig } from './login.js'
import { parsePathTemplate } from './path-template.js'
import { presetNames, presets } from './presets/known.js'
import { workingDaySeconds } from './presets/preset.js'
import { isTrustDomain } from './spiffe-id.js'

/** Attributes that every principal has; an issuer may not map a claim onto them. */
const reservedAttributes: readonly string[] = ['issuer', 'subject', 'account']
// JWT-SVID.md section 2.1; EdDSA is not among them.
const spiffeAlgorithms = signatureAlgorithms.filter((name) => /^(RS|PS|ES)\d{3}$/.test(name))

const text = z.string().min(1, 'expected a text that is not empty')
const oneOrMore = z.union([text.transform((value) => [value]), z.array(text).min(1, 'expected at least one')])
const attributeName = z
  .string()
  .regex(/^[a-z][a-z0-9_]*$/, 'expected an attribute name: a-z, then a-z, 0-9 and underscore')
  .refine((name) => !reservedAttributes.includes(name), 'issuer, subject and account are attributes of every principal')
/** Zod says only "Invalid key in record" of a key that its schema refuses. */
const keyed = (expected: string) => ({
  error: (issue: z.core.$ZodRawIssue) => (issue.code === 'invalid_key' ? `expected ${expected}` : undefined),
})
const attributeNames = z.array(attributeName).min(1, 'expected at least one attribute')
const bounded = (seconds: z.ZodType<number, string>, least: number, most: number, expected: string) =>
  seconds.refine((value) => value >= least && value <= most, `expected ${expected}`)
const algorithmsOf = (allowed: readonly string[]) =>
  z.array(z.enum(allowed, `expected asymmetric algorithms: ${allowed.join(', ')}`)).min(1)

const scalar = z.union([z.string(), z.number(), z.boolean()])
const requirement: z.ZodType<Requirement> = z.lazy(() =>
  z.union(
    [scalar, z.array(scalar).min(1), z.record(z.string(), requirement)],
    'expected a string, number or boolean, a list of them, or the members of a nested claim',
  ),
)

const common = {
  audience: oneOrMore.optional(),
  account: attributeNames.optional(),
  /** An empty list: none, whatever the preset says. */
  instance: z.array(attributeName).optional(),
  max_stale: bounded(duration, 1, 31_536_000, '1s to 365d').default(3600),
  max_age: bounded(duration, 1, 31_536_000, '1s to 365d').optional(),
  leeway: bounded(duration, 0, 60, 'at most 60s').default(30),
  task_token: z.enum(['required', 'optional']).default('optional'),
  single_use: z.boolean().default(false),
  bind: z.literal('audience', 'expected audience').optional(),
}
const sessionWindow = bounded(duration, 1, 31_536_000, '1s to 365d')

const attribute = z.strictObject({
  /** A top-level claim, or the path to a nested one. */
  claim: z.union([text.transform((name) => [name]), z.array(text).min(1)]),
  type: z.enum(['string', 'number', 'boolean', 'set'], 'expected string, number, boolean or set'),
})

const oidcShape = z.strictObject({
  type: z.literal('oidc'),
  use: z.enum(['workload', 'operator']).default('workload'),
  preset: z.enum(presetNames, `expected one of ${presetNames.join(', ')}`).optional(),
  issuer: httpsUrl.optional(),
  jwks: z
    .union([z.strictObject({ file: text }), z.strictObject({ uri: httpsUrl })], 'expected { file: … } or { uri: … }')
    .optional(),
  allow_private_addresses: z.boolean().default(false),
  algorithms: algorithmsOf(signatureAlgorithms).optional(),
  typ: z.array(text).min(1).default(['JWT']),
  require: z.record(z.string(), requirement).default({}),
  attributes: z
    .record(
      attributeName,
      attribute,
      keyed('attribute names of a-z, 0-9 and underscore, not issuer, subject or account'),
    )
    .default({}),
  person: text.optional(),
  login: loginConfig.optional(),
  session: sessionWindow.optional(),
  ...common,
})
type OidcShape = z.output<typeof oidcShape>

const oidcConfig = oidcShape.superRefine(checkOidc).transform(fillFromPreset)

const spiffeConfig = z
  .strictObject({
    type: z.literal('spiffe'),
    use: z.literal('workload', 'expected workload: operators come with an OIDC token').default('workload'),
    trust_domain: z.string().refine(isTrustDomain, 'expected a trust domain such as prod.acme.example'),
    bundle: bundleConfig,
    allow_private_addresses: z.boolean().default(false),
    algorithms: algorithmsOf(spiffeAlgorithms).default([...spiffeAlgorithms]),
    typ: z.array(text).min(1).default(['JWT', 'JOSE']),
    paths: z.array(z.string().superRefine(checkPath)).default([]),
    session: sessionWindow.default(workingDaySeconds),
    ...common,
  })
  .superRefine(checkSpiffe)

const issuerName = z.string().regex(/^[a-z][a-z0-9-]*$/)

/** One issuer as configured, defaults filled in; durations are seconds. */
export const issuerConfig = z.discriminatedUnion('type', [oidcConfig, spiffeConfig], 'expected type: oidc or spiffe')
export const issuersConfig = z.record(issuerName, issuerConfig, keyed('an issuer name: a-z, then a-z, 0-9 and dash'))

export type OidcConfig = z.output<typeof oidcConfig>
export type SpiffeConfig = z.output<typeof spiffeConfig>
export type IssuerConfig = z.output<typeof issuerConfig>
export type IssuersConfig = z.output<typeof issuersConfig>

/** The claims an OIDC issuer maps: its preset's, with its own beside and over them. */
export function attributeRulesOf(config: Pick<OidcConfig, 'preset' | 'attributes'>): AttributeRules {
  return { ...(config.preset === undefined ? {} : presets[config.preset].attributes), ...config.attributes }
}

type AttributesOfIssuer =
  | Pick<OidcShape, 'type' | 'preset' | 'attributes' | 'account' | 'instance'>
  | Pick<SpiffeConfig, 'type' | 'paths' | 'account' | 'instance'>

/** Attribute → Cedar type, for the policy schema. The attributes that every principal has are not among them. */
export function attributeTypesOf(
  config: AttributesOfIssuer,
): Record<string, 'String' | 'Long' | 'Bool' | 'Set<String>'> {
  if (config.type === 'spiffe') {
    return Object.fromEntries(
      config.paths.flatMap((path) => parsePathTemplate(path).names.map((name) => [name, 'String'])),
    )
  }
  const cedarTypes = { string: 'String', number: 'Long', boolean: 'Bool', set: 'Set<String>' } as const
  const rules = Object.entries(attributeRulesOf(config))
  return Object.fromEntries(rules.map(([name, { type }]) => [name, cedarTypes[type]]))
}

function checkOidc(config: OidcShape, context: z.RefinementCtx): void {
  const preset = config.preset === undefined ? null : presets[config.preset]
  const problem = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
  if (config.issuer === undefined && (preset?.issuer ?? null) === null) {
    problem(['issuer'], 'expected the issuer, exactly as `iss` in its tokens')
  }
  if (config.login !== undefined && config.use !== 'operator') {
    problem(['login'], 'only for an issuer with `use: operator`: people log in, workloads have an identity')
  }
  // GitHub's ids are strings: a number would never match, and the operator would look long for why.
  for (const { claim, type } of Object.values(preset?.attributes ?? {})) {
    if (type === 'set') continue
    const values = valuesRequired(config.require, claim)
    if (values.some((value) => typeof value !== type)) {
      const expected = type === 'string' ? 'a string in quotes' : `a ${type}`
      problem(['require', ...claim], `expected ${expected}: ${config.preset} gives this claim as a ${type}`)
    }
  }
  checkAttributeUse(config, context)
}

function checkSpiffe(config: SpiffeConfig, context: z.RefinementCtx): void {
  const { endpoint_spiffe_id: id } = config.bundle
  if (id !== undefined && !id.startsWith(`spiffe://${config.trust_domain}/`)) {
    // Its SVID is verified with this very bundle, which speaks for no other trust domain.
    const message = `expected a SPIFFE ID with a path in trust domain ${config.trust_domain}`
    context.addIssue({ code: 'custom', path: ['bundle', 'endpoint_spiffe_id'], message })
  }
  checkAttributeUse(config, context)
}

/** The values that `require` allows a claim, none where it does not name it. */
function valuesRequired(requirements: Readonly<Record<string, Requirement>>, claim: readonly string[]): unknown[] {
  let at: unknown = requirements
  for (const name of claim) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, name)) return []
    at = (at as Record<string, unknown>)[name]
  }
  return [at].flat()
}

/** What is left out is as the preset has it. */
function fillFromPreset(config: OidcShape) {
  const preset = config.preset === undefined ? null : presets[config.preset]
  return {
    ...config,
    algorithms: config.algorithms ?? [...(preset?.algorithms ?? signatureAlgorithms)],
    session: config.session ?? preset?.sessionSeconds ?? workingDaySeconds,
  }
}

/** Account and instance are made of attributes that this very issuer gives, and of single values. */
function checkAttributeUse(config: AttributesOfIssuer, context: z.RefinementCtx): void {
  const types = attributeTypesOf(config)
  for (const key of ['account', 'instance'] as const) {
    for (const [index, name] of (config[key] ?? []).entries()) {
      const type = Object.hasOwn(types, name) ? types[name] : undefined
      if (type !== undefined && type !== 'Set<String>') continue
      const message = type === undefined ? 'is no attribute of this issuer' : 'is a set: a single value is needed'
      context.addIssue({ code: 'custom', path: [key, index], message: `${name} ${message}` })
    }
  }
}

function checkPath(path: string, context: z.RefinementCtx): void {
  // Nothing else may look at a path that cannot be read: hence no `continue`.
  const problem = (message: string) => context.addIssue({ code: 'custom', message, continue: false })
  try {
    const reserved = parsePathTemplate(path).names.find((name) => reservedAttributes.includes(name))
    if (reserved !== undefined) problem(`${reserved} is an attribute of every principal`)
  } catch (error) {
    problem(error instanceof Error ? error.message : 'unreadable path template')
  }
}
