// The published description: a generated client has a name for every call, and the types of all that it may be answered.
import { expect, test } from '@jest/globals'
import { openTaskAnswers } from '../../../src/api/approvals.js'
import { allRoutes } from '../../../src/http/routes.js'

interface Operation {
  operationId: string
  responses: Record<string, { content?: Record<string, { schema?: { $ref?: string } }> }>
}

const condition = { audit: () => null, issuers: () => ({}), providers: () => ({}) }
const documents = { '/.well-known/hallpass': () => ({}) }
const routes = allRoutes({ issuer: 'https://hallpass.acme.example', version: '0', documents, condition })

async function operations(): Promise<Record<string, Operation>> {
  const route = routes.find(({ path }) => path === '/openapi.json')
  // What it answers is made when the routes are: nothing of the exchange is looked at.
  const answer = await route?.run({} as never)
  const { paths } = (answer?.body ?? {}) as { paths: Record<string, Record<string, Operation>> }
  return Object.fromEntries(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => [`${method} ${path}`, operation]),
    ),
  )
}

test('every route is in it, itself included, each with an id of its own', async () => {
  const described = await operations()
  expect(Object.keys(described)).toHaveLength(routes.length)
  expect(described['get /openapi.json']).toBeDefined()
  const ids = Object.values(described).map(({ operationId }) => operationId)
  expect(new Set(ids).size).toBe(routes.length)
  for (const id of ids) expect(id).toMatch(/^[a-z][A-Za-z0-9_]*$/)
})

test('every answer has its content type, and the OAuth face its own kind of error', async () => {
  const described = await operations()
  const typesOf = (call: string, status: string) => Object.keys(described[call]?.responses[status]?.content ?? {})
  for (const call of Object.keys(described)) {
    expect(typesOf(call, '2XX')).toEqual([call === 'get /metrics' ? 'text/plain' : 'application/json'])
    const oauth = call.includes('/oauth/')
    expect(typesOf(call, 'default')).toEqual([oauth ? 'application/json' : 'application/problem+json'])
  }
  const errors = described['post /oauth/introspect']?.responses.default?.content?.['application/json']
  expect(errors?.schema?.$ref).toBe('#/components/schemas/OAuthError')
})

test('what a dry run of an opening answers is one of the answers to opening', () => {
  const decision = { id: `dec_${'0'.repeat(26)}`, effect: 'permit', policies: ['p'] }
  expect(openTaskAnswers.safeParse({ decisions: [{ decision, ttl_seconds: 60 }] }).success).toBe(true)
})
