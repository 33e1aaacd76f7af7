// The whole API on one screen, and the source of /openapi.json. What a route does stands in the file of its first segment.
import { approvalRoutes } from './approvals.js'
import { credentialRoutes } from './credentials.js'
import { delegationRoutes } from './delegations.js'
import { discoveryRoutes } from './discovery.js'
import { grantRoutes } from './grants.js'
import { type Condition, healthRoutes } from './health.js'
import { leaseRoutes } from './leases.js'
import { lockRoutes } from './locks.js'
import { oauthRoutes } from './oauth.js'
import { openApiDocument } from './openapi.js'
import { policyRoutes } from './policy.js'
import { revocationRoutes } from './revocations.js'
import { type Route, route } from './route.js'
import { taskRoutes } from './tasks.js'
import { timelineRoutes } from './timeline.js'
import { whoamiRoutes } from './whoami.js'

export interface RouteDependencies {
  readonly issuer: string
  readonly version: string
  /** Published documents by path. */
  readonly documents: Readonly<Record<string, () => object>>
  readonly condition: Condition
}

export type Door = 'workloads' | 'operators' | 'metrics'

/** Every route there is. */
export function allRoutes(dependencies: RouteDependencies): Route[] {
  const routes = [
    ...taskRoutes, //        POST /v1/tasks · GET /v1/tasks · GET /v1/tasks/:id · POST /v1/tasks/:id/{complete,heartbeat}
    ...credentialRoutes, //  POST /v1/tasks/:id/credentials
    ...grantRoutes, //       GET /v1/grants
    ...delegationRoutes, //  POST /v1/tasks/:id/delegations
    ...leaseRoutes, //       GET /v1/leases · GET|DELETE /v1/leases/:id · POST /v1/leases/:id/retry|abandon
    ...revocationRoutes, //  POST /v1/revocations · GET /v1/revocations/:id
    ...lockRoutes, //        POST|GET /v1/locks · DELETE /v1/locks/:id
    ...approvalRoutes, //    GET /v1/approvals · GET /v1/approvals/:id · POST /v1/approvals/:id/approve|deny
    ...timelineRoutes, //    POST /v1/tasks/:id/events · GET /v1/tasks/:id/timeline · GET /v1/audit
    ...oauthRoutes, //       POST /oauth/introspect
    ...whoamiRoutes, //      GET /v1/whoami
    ...policyRoutes, //      POST /v1/policy/simulate
    ...discoveryRoutes(dependencies.documents),
    ...healthRoutes(dependencies.condition, dependencies.version),
  ]
  const description = route({
    method: 'GET',
    path: '/openapi.json',
    access: 'public',
    summary: 'This API.',
    run: async () => ({ status: 200, body: document }),
  })
  const document = openApiDocument([...routes, description], dependencies.issuer, dependencies.version)
  return [...routes, description]
}

/** Where operators or metrics have an address of their own, the others do not serve them. */
export function routesAt(
  routes: readonly Route[],
  door: Door,
  separate: { operators: boolean; metrics: boolean },
): Route[] {
  return routes.filter((one) => {
    if (one.path === '/healthz' || one.path === '/readyz') return true
    if (one.path === '/metrics') return door === 'metrics' || (door === 'workloads' && !separate.metrics)
    if (one.access === 'operator') return door === 'operators' || (door === 'workloads' && !separate.operators)
    return door === 'workloads' || (door === 'operators' && isOperatorsToo(one))
  })
}

/** What operators need beside their own calls: what they may read, who they are, and where they log in. */
function isOperatorsToo({ access, path }: Route): boolean {
  if (access === 'owner_or_operator' || path === '/.well-known/hallpass') return true
  return access === 'caller' && path.startsWith('/v1/')
}
