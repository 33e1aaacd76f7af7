// OpenAPI 3.1, generated from the same schemas that validate: it cannot say anything else than the program does.
import { z } from 'zod'
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
      },
      schemas: { Problem: schemaOf(problem, 'output'), OAuthError: schemaOf(oauthError, 'output') },
    },
    paths,
  }
}

function operationOf(route: Route): object {
  const content = (type: string, schema: object) => ({ content: { [type]: { schema } } })
  const body = route.body ?? route.form
  return {
    operationId: operationIdOf(route),
    summary: route.summary,
    security: route.access === 'public' ? [] : [{ bearer: [] }, { dpop: [] }],
    parameters: parametersOf(route),
    ...(body
      ? {
          requestBody: content(
            route.form ? 'application/x-www-form-urlencoded' : 'application/json',
            schemaOf(body, 'input'),
          ),
        }
      : {}),
    responses: {
      '2XX': {
        description: 'Done',
        ...content(route.type ?? 'application/json', route.answer ? schemaOf(route.answer, 'output') : {}),
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
  const { properties = {}, required = [] } = schemaOf(route.query, 'input') as {
    properties?: Record<string, object>
    required?: string[]
  }
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
