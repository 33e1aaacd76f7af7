// The `jwt` section of the configuration, and the recipes of its grants.
import { z } from 'zod'
import { BrokerError } from '../core/errors.js'
import { duration, type SettingProblem } from '../core/settings.js'
import type { JsonObject } from './provider.js'

/** `providers.<name>` with `type: jwt`. `timeout` becomes seconds. */
export const signedJwtConfig = z.strictObject({
  type: z.literal('jwt'),
  timeout: duration.refine((seconds) => seconds >= 1 && seconds <= 60, 'expected 1s to 60s').default(5),
  concurrency: z.int().min(1).max(1000).default(16),
})
export type SignedJwtConfig = z.output<typeof signedJwtConfig>

const audience = z.string().min(1).max(512)
// RFC 6749 section 3.3: printable, no space, no quote, no backslash. A placeholder's own characters are among them.
const scopeToken = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 'expected a scope without spaces or quotes')
// RFC 9396 section 2: an object with a `type`; the rest is the resource server's.
const authorizationDetail = z.looseObject({ type: z.string().min(1) })

const recipe = z.strictObject({
  audience: z.union([audience, z.array(audience).min(1).max(16)], 'expected an audience or a list of them'),
  scope: z.array(scopeToken).max(64).default([]),
  authorization_details: z.array(authorizationDetail).max(64).default([]),
  verified_by: z.enum(['introspection', 'offline']),
})

export interface SignedJwtRecipe {
  readonly audience: string | readonly string[]
  readonly scope: readonly string[]
  readonly authorizationDetails: readonly JsonObject[]
  readonly verifiedBy: 'introspection' | 'offline'
}

/** What is wrong with a recipe that may still hold placeholders; empty when nothing is. */
export function validateSignedJwtRecipe(raw: JsonObject, reserved: ReadonlySet<string>): SettingProblem[] {
  const parsed = recipe.safeParse(raw)
  if (!parsed.success) {
    return parsed.error.issues.map(({ path, message }) => ({
      path: path.filter((step) => typeof step !== 'symbol'),
      message,
    }))
  }
  const taken = findReserved(parsed.data.audience, reserved)
  return taken === undefined ? [] : [{ path: ['audience'], message: explainReserved(taken) }]
}

/** A filled recipe. Throws BrokerError `unfillable_recipe` when what came out of filling is not one. */
export function parseSignedJwtRecipe(raw: JsonObject, reserved: ReadonlySet<string>): SignedJwtRecipe {
  const parsed = recipe.safeParse(raw)
  if (!parsed.success) {
    const [first] = parsed.error.issues
    throw new BrokerError('unfillable_recipe', `the recipe's ${first?.path.join('.')}: ${first?.message}`)
  }
  // Again and not only at load: a placeholder may have become a reserved audience by now.
  const taken = findReserved(parsed.data.audience, reserved)
  if (taken !== undefined)
    throw new BrokerError('unfillable_recipe', `the recipe's audience: ${explainReserved(taken)}`)
  const { scope, verified_by } = parsed.data
  const authorizationDetails = parsed.data.authorization_details as readonly JsonObject[]
  return { audience: parsed.data.audience, scope, authorizationDetails, verifiedBy: verified_by }
}

/** Whatever nothing minted here may be good for, in comparable form: our issuers, `others` (theirs), and AWS's sign-in. */
export function reservedAudienceSet(issuer: string, others: readonly string[]): ReadonlySet<string> {
  const base = comparableAudience(issuer)
  const own = [base, `${base}/federation`, `${base}/tasks`, 'sts.amazonaws.com', 'https://sts.amazonaws.com']
  return new Set([...own, ...others].map(comparableAudience))
}

/** Case and a last slash do not make another party of an audience, wherever it is compared less strictly than here. */
export function comparableAudience(text: string): string {
  return text.toLowerCase().replace(/\/+$/, '')
}

function findReserved(audience: string | readonly string[], reserved: ReadonlySet<string>): string | undefined {
  return [audience].flat().find((text) => reserved.has(comparableAudience(text)))
}

// A minted token that such a party accepts would log in as Hallpass itself, or buy further credentials here.
function explainReserved(audience: string): string {
  return `${audience} is one of Hallpass's own issuers or audiences, or of those it logs in at; name the service that takes the token`
}
