// The published description: a generated client has a name for every call, and the types of all that it may be answered.
import { expect, test } from '@jest/globals'
import { openTaskAnswers } from '../../../src/api/approvals.js'
import { allRoutes } from '../../../src/http/routes.js'

interface Operation {
  operationId: string
  security: Record<string, unknown>[]
  parameters: { name: string; in: string; required: boolean; schema: object }[]
  requestBody?: { required: boolean }
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
    const events = call === 'get /v1/approvals/{id}' ? ['text/event-stream'] : []
    expect(typesOf(call, '2XX')).toEqual([call === 'get /metrics' ? 'text/plain' : 'application/json', ...events])
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

test('the headers that a call reads are parameters of it', async () => {
  const described = await operations()
  const withHeader = (header: string) =>
    Object.keys(described).filter((call) =>
      described[call]?.parameters.some(({ name, in: where, required }) => {
        return name === header && where === 'header' && !required
      }),
    )
  expect(withHeader('Idempotency-Key')).toEqual(['post /v1/tasks', 'post /v1/tasks/{id}/credentials'])
  expect(withHeader('Hallpass-Task-Token').sort()).toEqual([
    'delete /v1/leases/{id}',
    'get /v1/approvals/{id}',
    'get /v1/leases/{id}',
    'get /v1/tasks/{id}',
    'get /v1/tasks/{id}/timeline',
    'post /v1/tasks/{id}/complete',
    'post /v1/tasks/{id}/credentials',
    'post /v1/tasks/{id}/delegations',
    'post /v1/tasks/{id}/events',
    'post /v1/tasks/{id}/heartbeat',
  ])
})

test('numbers of a query are numbers, with the bounds that are checked', async () => {
  const described = await operations()
  const schemaOf = (call: string, name: string) =>
    described[call]?.parameters.find((parameter) => parameter.name === name)?.schema
  expect(schemaOf('get /v1/leases', 'limit')).toEqual({ type: 'integer', minimum: 1, maximum: 1000 })
  const wait = { type: 'integer', minimum: 0, maximum: 60 }
  expect(schemaOf('post /v1/tasks/{id}/complete', 'wait_seconds')).toEqual(wait)
  for (const { parameters } of Object.values(described)) {
    for (const { in: where, required } of parameters) expect(required).toBe(where === 'path')
  }
})

test('a body that cannot be left out is said to be needed, and a certificate may stand for a workload’s token', async () => {
  const described = await operations()
  const optional = Object.keys(described).filter((call) => described[call]?.requestBody?.required === false)
  expect(optional.sort()).toEqual([
    'post /v1/leases/{id}/retry',
    'post /v1/tasks/{id}/complete',
    'post /v1/tasks/{id}/heartbeat',
  ])
  const takesCertificate = (call: string) => described[call]?.security.some((one) => 'mtls' in one)
  expect(['post /v1/tasks', 'get /v1/tasks', 'post /v1/locks', 'get /healthz'].map(takesCertificate)).toEqual([
    true,
    true,
    false,
    false,
  ])
})
