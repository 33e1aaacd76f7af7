// Two runs of one pipeline, by each preset that tells runs apart: what the first opened is a 404 to the second, and unchanged.
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Stack, startStack } from '../support/stack.js'
import type { StackSettings } from '../support/stack-settings.js'
import { openTask } from '../support/wire-checks.js'

type Claims = Record<string, unknown>
const rows: [preset: string, fixture: string, nextRun: Claims][] = [
  ['gitlab', 'gitlab-id-token', { job_id: '303' }],
  ['buildkite', 'buildkite', { build_number: 2 }],
  ['circleci', 'circleci', { 'oidc.circleci.com/workflow-id': '99999999-9999-4999-8999-999999999999' }],
  ['gcp', 'gcp-identity-token', { google: { compute_engine: { instance_id: '4340508760561261531' } } }],
  ['hcp-terraform', 'terraform-cloud', { terraform_run_id: 'run-2' }],
  ['bitbucket', 'bitbucket-pipelines', { pipelineUuid: '{c0ffee00-0000-4000-8000-000000000009}' }],
]

let stack: Stack
beforeAll(async () => {
  stack = await startStack({
    settings: (base: StackSettings) => {
      const entry = (preset: string) => ({
        ...{ type: 'oidc', preset, issuer: base.issuers.ci?.issuer, audience: preset, algorithms: ['ES256'] },
      })
      // One stand-in signs for all: they share `iss`, and their audiences differ.
      const entries = Object.fromEntries(rows.map(([preset]) => [preset, entry(preset)]))
      return { ...base, issuers: { ...base.issuers, ...entries } }
    },
  })
})
afterAll(() => stack?.stop())

function sign(preset: string, fixture: string, over: Claims = {}): Promise<string> {
  const { claims } = JSON.parse(readFileSync(`test/fixtures/claims/${fixture}.json`, 'utf8')) as { claims: Claims }
  const { iss: _iss, iat: _iat, exp: _exp, nbf: _nbf, ...rest } = claims
  return stack.ci.sign({ ...rest, aud: preset, ...over })
}

test.each(rows)('%s: another run’s task is not found, and stays as it is', async (preset, fixture, nextRun) => {
  const token = await sign(preset, fixture)
  const { path } = await openTask(stack, token)
  const before = await stack.call('GET', path, { token })
  expect(before).toMatchObject({ status: 200, body: { state: 'open' } })

  const other = await sign(preset, fixture, nextRun)
  const report = { action: 'report.read', resource: 'repo:acme/web' }
  for (const [method, end, body] of [
    ['GET', '', undefined],
    ['POST', '/complete', {}],
    ['POST', '/credentials', report],
  ] as const) {
    const answer = await stack.call(method, path + end, { token: other, ...(body ? { body } : {}) })
    expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } })
  }
  expect((await stack.call('GET', path, { token })).body).toEqual(before.body)
  // The same run, with a token that was made anew, is the same.
  const again = await stack.call('GET', path, { token: await sign(preset, fixture, { jti: 'another' }) })
  expect(again.status).toBe(200)
})
