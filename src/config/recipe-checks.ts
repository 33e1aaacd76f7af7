// Recipes against the kind of their provider, at load and without a provider: a bad one stops start-up with its line.
import type { SettingProblem } from '../core/settings.js'
import type { Grant } from '../grants/grant.js'
import { validateRecipe as validateAwsStsRecipe } from '../providers/aws-sts-session.js'
import { comparableAudience, validateSignedJwtRecipe } from '../providers/signed-jwt-config.js'
import { validateVaultRecipe } from '../providers/vault-config.js'
import { reservedAudiencesOf } from './cross-checks.js'
import type { ProviderConfig, Settings } from './schema.js'

/** What is wrong with a recipe whose placeholders are unfilled. Paths are relative to the recipe. */
export function checkRecipe(config: ProviderConfig, grant: Grant, settings: Settings): SettingProblem[] {
  const { recipe, standing } = grant
  if (config.type === 'vault') return validateVaultRecipe(recipe, { standing })
  const copies: SettingProblem[] = standing
    ? [{ path: [], message: `${config.type} hands out no standing secret: remove standing: true from the grant` }]
    : []
  if (config.type === 'aws_sts') return [...copies, ...validateAwsStsRecipe(recipe, grant.ttl.maxSeconds)]
  return [...copies, ...validateSignedJwtRecipe(recipe, ownAudiences(settings))]
}

/** Everything that a minted token must not be good for, as the jwt provider compares it. */
function ownAudiences(settings: Settings): ReadonlySet<string> {
  const base = settings.issuer
  const own = [base, `${base}/federation`, `${base}/tasks`, 'sts.amazonaws.com', 'https://sts.amazonaws.com']
  return new Set([...own, ...reservedAudiencesOf(settings)].map(comparableAudience))
}
