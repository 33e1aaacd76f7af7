// What GET /v1/revocations/{id} tells is of one moment: an order that is done is never shown with receipts of before it was.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { revocation } from '../../../src/api/revocations.js'
import { forceRevoke } from '../../../src/broker/force-revoke.js'
import type { Parts } from '../../../src/broker/parts.js'
import { revocationRoutes } from '../../../src/http/revocations.js'
import { type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(() => story?.close())

test('a lease that is settled between two looks is counted and receipted alike', async () => {
  const { lease, task } = await story.bought()
  const caller = story.operator()
  const { id } = await forceRevoke(story.parts, caller, { target: { task: task.id }, reason: 'r', dry_run: false })
  // The worker is done just when the broker has looked at what was asked for, and at whatever it looked at before that.
  let looks = 0
  const ledger: Parts['ledger'] = {
    ...story.parts.ledger,
    findRevocation: async (which) => {
      if (looks++ > 0) await story.finish(lease.id)
      return await story.parts.ledger.findRevocation(which)
    },
  }
  const route = revocationRoutes.find(({ method }) => method === 'GET')
  const parts = { ...story.parts, ledger }
  const identity = { ...caller, kind: 'principal' as const, taskToken: null, rate: { isCounted: false } }
  const answer = await route?.run({ parts, identity, params: [id ?? ''], query: {}, body: undefined, headers: {} })
  const { state, done, receipts } = revocation.parse(answer?.body)
  expect({ state, done, outcomes: receipts.map(({ outcome }) => outcome) }).toEqual({
    state: 'done',
    done: 1,
    outcomes: ['confirmed'],
  })
})
