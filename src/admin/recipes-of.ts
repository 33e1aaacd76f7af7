// The recipes of one provider as they will be filled: for every exact resource and every declared value that is listed.
import type { Settings } from '../config/schema.js'
import type { Grant } from '../grants/grant.js'
import { fillRecipe } from '../grants/recipe.js'
import type { JsonObject } from '../providers/provider.js'

export interface FilledRecipe {
  readonly grant: Grant
  readonly recipe: JsonObject
}

/** A recipe that only a pattern's resources fill stands in the list as it was written. */
export function recipesOf(settings: Settings, provider: string): FilledRecipe[] {
  return Object.values(settings.grants)
    .filter((grant) => grant.provider === provider)
    .flatMap((grant) => {
      const filled = filledRecipes(settings, grant)
      return filled.length > 0 ? filled : [{ grant, recipe: grant.recipe }]
    })
}

function filledRecipes(settings: Settings, grant: Grant): FilledRecipe[] {
  const resources = settings.resources.filter((one) => one.type === grant.resourceType && one.placeholders.length === 0)
  return resources.flatMap((entry) =>
    declaredValues(grant).flatMap((declared) => {
      const resource = { id: entry.pattern, type: entry.type, attributes: entry.attributes }
      try {
        return [{ grant, recipe: fillRecipe(grant.recipe, { resource, declared, task: { id: 'task_setup' } }) }]
      } catch {
        // Not every resource of a type need have what this grant's recipe asks of it.
        return []
      }
    }),
  )
}

/** Every combination of the listed values. */
function declaredValues(grant: Grant): Record<string, string | number | boolean>[] {
  return Object.entries(grant.context).reduce<Record<string, string | number | boolean>[]>(
    (all, [name, field]) =>
      field.oneOf ? all.flatMap((one) => (field.oneOf ?? []).map((value) => ({ ...one, [name]: value }))) : all,
    [{}],
  )
}
