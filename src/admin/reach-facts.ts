// A configuration as `checkReach` and `checkShadows` want it.
import type { Settings } from '../config/schema.js'
import { createCatalogue } from '../grants/catalogue.js'
import { attributeTypesOf } from '../identity/issuer-config.js'
import type { ReachFacts } from '../policy/reach-facts.js'

export function reachFactsOf(settings: Settings): ReachFacts {
  const grants = Object.values(settings.grants)
  return {
    issuers: new Map(
      Object.entries(settings.issuers).map(([name, issuer]) => [
        name,
        { use: issuer.use, attributes: new Set(Object.keys(attributeTypesOf(issuer))) },
      ]),
    ),
    groups: new Map(
      Object.entries(settings.groups).map(([name, members]) => [
        name,
        members.map((member) => (typeof member === 'string' ? member.slice(0, member.indexOf(':')) : member.issuer)),
      ]),
    ),
    resources: settings.resources,
    findResource: createCatalogue(settings.grants, settings.resources).findResource,
    grants: grants.map(({ action, access, resourceType, context }) => ({
      action,
      access,
      resourceType,
      declared: new Map(Object.entries(context).map(([name, { oneOf }]) => [name, oneOf])),
    })),
  }
}

export const accessOf = ({ grants }: ReachFacts): ReadonlyMap<string, string> =>
  new Map(grants.map(({ action, access }) => [action, access]))
