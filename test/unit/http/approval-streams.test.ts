// Streams of approvals are few on a broker: one account must not have all of them.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Caller } from '../../../src/broker/parts.js'
import { approvalRoutes } from '../../../src/http/approvals.js'
import { ask, shipRules } from '../../support/approval-story.js'
import { codeOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ load: shipRules() })
})
afterAll(async () => {
  await story.close()
})

const mostOfOne = 20

async function streamOf(caller: Caller, id: string, gone: AbortSignal) {
  const route = approvalRoutes.find(({ method, path }) => method === 'GET' && path === '/v1/approvals/:id')
  if (route === undefined) throw new Error('there is no such call')
  const { principal, requestId } = caller
  const identity = { kind: 'principal', principal, requestId, taskToken: null, rate: { isCounted: true } } as const
  const headers = { accept: 'text/event-stream' }
  const { parts } = story
  const { events } = await route.run({ parts, identity, params: [id], query: {}, body: undefined, headers })
  const stream = events?.(gone)[Symbol.asyncIterator]()
  if (stream === undefined) throw new Error('no stream')
  expect((await stream.next()).value).toMatchObject({ event: 'approval', data: { state: 'pending' } })
  return stream
}

test('one account has so many streams and no more, others have theirs, and one that ended makes room', async () => {
  const [busy, other] = [story.caller(), story.caller()]
  const asked = await ask(story, busy, await story.task(busy))
  const others = await ask(story, other, await story.task(other))
  const gone = new AbortController()
  const streams = await Promise.all(Array.from({ length: mostOfOne }, () => streamOf(busy, asked.id, gone.signal)))
  expect(await codeOf(streamOf(busy, asked.id, gone.signal))).toBe('busy')
  await (await streamOf(other, others.id, gone.signal)).return?.()
  await streams[0]?.return?.()
  await (await streamOf(busy, asked.id, gone.signal)).return?.()
  gone.abort()
  for (const stream of streams) await stream.return?.()
})
