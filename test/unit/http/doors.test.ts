// Where operators have an address of their own, everything that they need is there, and their calls are nowhere else.
import { expect, test } from '@jest/globals'
import { allRoutes, routesAt } from '../../../src/http/routes.js'

const condition = { audit: () => null, issuers: () => ({}), providers: () => ({}) }
const documents = { '/.well-known/hallpass': () => ({}), '/.well-known/jwks.json': () => ({}) }
const routes = allRoutes({ issuer: 'https://hallpass.acme.example', version: '0', documents, condition })
const separate = { operators: true, metrics: true }
const at = (door: 'workloads' | 'operators' | 'metrics') =>
  routesAt(routes, door, separate).map(({ method, path }) => `${method} ${path}`)

test('operators find who they are, where they log in and what they may read at their own address', () => {
  const needed = [
    'GET /v1/whoami',
    'GET /.well-known/hallpass',
    'GET /v1/tasks',
    'GET /v1/tasks/:id',
    'GET /v1/leases/:id',
  ]
  expect(at('operators')).toEqual(expect.arrayContaining(needed))
  expect(at('workloads')).toEqual(expect.arrayContaining(needed))
  const workloads = [
    'POST /v1/tasks',
    'POST /v1/tasks/:id/credentials',
    'POST /oauth/introspect',
    'DELETE /v1/leases/:id',
  ]
  for (const call of workloads) expect(at('operators')).not.toContain(call)
})

test('workloads do not reach a call for operators', () => {
  const operators = routes.filter(({ access }) => access === 'operator').map(({ method, path }) => `${method} ${path}`)
  expect(operators.length).toBeGreaterThan(5)
  for (const call of operators) {
    expect(at('workloads')).not.toContain(call)
    expect(at('operators')).toContain(call)
  }
  expect(at('metrics')).toEqual(['GET /healthz', 'GET /readyz', 'GET /metrics'])
})
