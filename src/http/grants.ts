// What may be asked for at all, and on one resource by this caller: so that an agent plans without guessing.
import * as api from '../api/grants.js'
import type { Parts } from '../broker/parts.js'
import { type May, previewGrants } from '../broker/preview-grants.js'
import { BrokerError } from '../core/errors.js'
import type { ContextField, Grant } from '../grants/grant.js'
import { callerOf } from './access.js'
import { readOffset } from './read-request.js'
import { type Route, route } from './route.js'

export const grantRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/v1/grants',
    access: 'workload',
    summary: 'What may be asked for; of a named resource also whether this caller may.',
    query: api.grantQuery,
    answer: api.grantList,
    async run({ parts, identity, query }) {
      const { catalogue } = parts.rules()
      const offset = readOffset(query.cursor)
      const limit = query.limit ?? 100
      const resource = query.resource === undefined ? null : catalogue.findResource(query.resource)
      if (resource === undefined) throw new BrokerError('unknown_resource', `${query.resource}: no such resource`)
      const all = Object.values(catalogue.grants)
        .filter((grant) => resource === null || grant.resourceType === resource.type)
        .sort((a, b) => (a.action < b.action ? -1 : 1))
      const page = all.slice(offset, offset + limit)
      const may = resource === null ? [] : await previewGrants(parts, callerOf(identity), page, resource)
      const next = offset + limit < all.length ? Buffer.from(String(offset + limit)).toString('base64url') : null
      return {
        status: 200,
        body: { grants: page.map((grant, i) => grantView(parts, grant, may[i])), next_cursor: next },
      }
    },
  }),
]

function grantView(parts: Parts, grant: Grant, may: May | undefined): api.Grant {
  const provider = parts.providers.get(grant.provider)
  if (!provider) throw new BrokerError('internal', `the grant ${grant.action} names a provider that is not there`)
  const { revocation, minTtlSeconds } = provider.guarantees(grant.recipe)
  const longest = parts.rules().limits.lease.ttl
  return {
    action: grant.action,
    access: grant.access,
    resource_type: grant.resourceType,
    context: Object.fromEntries(Object.entries(grant.context).map(([name, field]) => [name, fieldView(field)])),
    ttl: {
      default_seconds: Math.min(grant.ttl.defaultSeconds, longest),
      min_seconds: minTtlSeconds,
      max_seconds: Math.min(grant.ttl.maxSeconds, longest),
    },
    revocation,
    ...(may === undefined ? {} : { may }),
  }
}

function fieldView({ type, oneOf, pattern, optional }: ContextField): api.Grant['context'][string] {
  return {
    type,
    ...(oneOf === null ? {} : { one_of: [...oneOf] }),
    // As it was written: what is matched is the whole of it.
    ...(pattern === null ? {} : { pattern: pattern.source.replace(/^\^\(\?:(.*)\)\$$/s, '$1') }),
    optional,
  }
}
