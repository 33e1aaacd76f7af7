// Under which names a request is looked up among the locks: one that is missing is a lock that stops nobody.
import { expect, test } from '@jest/globals'
import { chainTargets, requestTargets } from '../../../src/broker/lock-targets.js'
import type { ResolvedRequest } from '../../../src/broker/resolved-request.js'
import { aWorkload } from '../../support/story-config.js'

test('a request: its tasks, everybody who stands in the chain, and all that it asks for', () => {
  const asked = {
    grant: { action: 'repo.read', provider: 'far' },
    resource: { id: 'repo:acme/web', type: 'repo', attributes: {} },
  } as unknown as ResolvedRequest
  const caller = { principal: aWorkload('web', { account: 'ci:team' }), requestId: 'r' }
  const above = [{ principal: 'prod:x', account: 'prod:y' }]
  expect(requestTargets(caller, asked, ['task_1', 'task_0'], above).sort()).toEqual([
    'account=ci:team',
    'account=prod:y',
    'action=repo.read',
    'all=true',
    'issuer=ci',
    'issuer=prod',
    'principal=ci:web',
    'principal=prod:x',
    'provider=far',
    'resource=repo:acme/web',
    'task=task_0',
    'task=task_1',
  ])
})

test('a chain: each of its tasks and whoever opened it', () => {
  const chain = [
    { id: 'task_1', principal: 'ci:web', account: 'ci:team' },
    { id: 'task_0', principal: 'prod:x', account: 'prod:y' },
  ]
  expect(chainTargets(chain).sort()).toEqual([
    'account=ci:team',
    'account=prod:y',
    'all=true',
    'issuer=ci',
    'issuer=prod',
    'principal=ci:web',
    'principal=prod:x',
    'task=task_0',
    'task=task_1',
  ])
})
