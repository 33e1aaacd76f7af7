// OpenAPI 3.1, generated from the same schemas that validate: it cannot say anything else than the program does.
import { z } from 'zod'
import { idempotencyKey } from '../api/fields.js'
import { oauthError, problem } from '../api/problem.js'
import type { Route } from './route.js'

const schemaOf = (schema: z.ZodType, io: 'input' | 'output') => {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return json
}

/** The document for these routes. `issuer` is where they are served. */
export function openApiDocument(routes: readonly Route[], issuer: string, version: string): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of routes) {
    const path = route.path.replace(/:([a-z_]+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Hallpass', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: issuer }],
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        dpop: { type: 'http', scheme: 'dpop', bearerFormat: 'JWT' },
        mtls: { type: 'mutualTLS', description: 'An X.509-SVID, where the broker asks for certificates' },
      },
      schemas: { Problem: schemaOf(problem, 'output'), OAuthError: schemaOf(oauthError, 'output') },
    },
    paths,
  }
}

function operationOf(route: Route): object {
  const content = (type: string, schema: object) => ({ content: { [type]: { schema } } })
  return {
    operationId: operationIdOf(route),
    summary: route.summary,
    security: securityOf(route),
    parameters: [...parametersOf(route), ...headersOf(route)],
    ...requestBodyOf(route),
    responses: {
      '2XX': {
        description: 'Done',
        content: {
          [route.type ?? 'application/json']: { schema: route.answer ? schemaOf(route.answer, 'output') : {} },
          ...(route.tellsEvents ? { 'text/event-stream': { schema: { type: 'string' } } } : {}),
        },
      },
      default: route.oauth
        ? {
            description: 'An error (RFC 6749 section 5.2)',
            ...content('application/json', { $ref: '#/components/schemas/OAuthError' }),
          }
        : {
            description: 'A problem (RFC 9457)',
            ...content('application/problem+json', { $ref: '#/components/schemas/Problem' }),
          },
    },
  }
}

function securityOf({ access }: Route): object[] {
  if (access === 'public') return []
  return [{ bearer: [] }, { dpop: [] }, ...(access === 'operator' ? [] : [{ mtls: [] }])]
}

function requestBodyOf({ body, form }: Route): object {
  const schema = body ?? form
  if (schema === undefined) return {}
  const type = form === undefined ? 'application/json' : 'application/x-www-form-urlencoded'
  // None at all is read as an empty one.
  const required = !schema.safeParse({}).success
  return { requestBody: { required, content: { [type]: { schema: schemaOf(schema, 'input') } } } }
}

/** What generated clients call it: `post_v1_tasks_id_credentials`. */
const operationIdOf = ({ method, path }: Route) =>
  [method.toLowerCase(), ...path.split(/[^A-Za-z0-9_]+/).filter((word) => word !== '')].join('_')

function parametersOf(route: Route): object[] {
  const named = [...route.path.matchAll(/:([a-z_]+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  if (!route.query) return named
  const { required = [] } = schemaOf(route.query, 'input') as { required?: string[] }
  // What is read of the text: a client then sends a number where one is meant, within its bounds.
  const { properties = {} } = schemaOf(route.query, 'output') as { properties?: Record<string, object> }
  return [
    ...named,
    ...Object.entries(properties).map(([name, schema]) => ({
      name,
      in: 'query',
      required: required.includes(name),
      schema,
    })),
  ]
}

function headersOf({ takesIdempotencyKey, access, path }: Route): object[] {
  const header = (name: string, schema: object, description: string) => {
    return { name, in: 'header', required: false, schema, description }
  }
  const key = header('Idempotency-Key', schemaOf(idempotencyKey, 'input'), 'One credential, however often it is asked.')
  const ofTask = header(
    'Hallpass-Task-Token',
    { type: 'string' },
    'The task token, besides a subject token, where the issuer is configured with task_token: required.',
  )
  const isOnTask = /\/:id(\/|$)/.test(path) && ['workload', 'owner', 'owner_or_operator'].includes(access)
  return [...(takesIdempotencyKey ? [key] : []), ...(isOnTask ? [ofTask] : [])]
}
