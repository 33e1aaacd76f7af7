// Whose a task is, member by member: each of them alone makes somebody a stranger.
import { describe, expect, test } from '@jest/globals'
import { isOwn } from '../../../src/broker/task-access.js'
import type { Principal } from '../../../src/identity/principal.js'
import type { Task } from '../../../src/ledger/task.js'
import { aTask } from '../../support/ledger.js'
import { aWorkload } from '../../support/story-config.js'

const run = aTask({ principal: 'ci:web', account: 'ci:web', instance: 'run-1' })
const handedOn = { ...run, delegation: 'dlg_1', agent: 'tester' }
const pinned = { ...run, jkt: 'key-1' }
const who = (over: Partial<Principal> = {}) => aWorkload('web', { instance: 'run-1', ...over })

describe('a task is its own of', () => {
  test.each<[string, Task, Principal]>([
    ['the run that opened it', run, who()],
    ['the run that opened it, whichever key it proves', run, who({ jkt: 'key-2' })],
    ['a principal without instances', { ...run, instance: null }, who({ instance: null })],
    ['the parent itself, where it was handed to a sub-agent', handedOn, who()],
    ['the sub-agent that it was handed to', handedOn, who({ delegation: 'dlg_1', agent: 'tester' })],
    ['whoever proves the key that it is pinned to', pinned, who({ jkt: 'key-1' })],
  ])('%s', (_, task, principal) => {
    expect(isOwn(task, principal)).toBe(true)
  })
})

describe('a task is not its own of', () => {
  test.each<[string, Task, Principal]>([
    ['another principal of the same account', run, who({ id: 'ci:api' })],
    ['another run', run, who({ instance: 'run-2' })],
    ['the principal without a run', run, who({ instance: null })],
    ['a run, where the task is of none', { ...run, instance: null }, who()],
    ['a sub-agent that another task was handed to', run, who({ delegation: 'dlg_1', agent: 'tester' })],
    ["another delegation's sub-agent", handedOn, who({ delegation: 'dlg_2', agent: 'tester' })],
    ['whoever proves no key, where it is pinned', pinned, who()],
    ['whoever proves another key', pinned, who({ jkt: 'key-2' })],
    ['a stranger that proves the key', pinned, who({ id: 'ci:api', jkt: 'key-1' })],
  ])('%s', (_, task, principal) => {
    expect(isOwn(task, principal)).toBe(false)
  })
})
