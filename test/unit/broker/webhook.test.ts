// Approvals told to a webhook: a real ledger, a real receiver, and everything that may go wrong between them.
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { announceMissed, createAnnounce } from '../../../src/broker/announce-approval.js'
import { deliverNotices, noticeTrouble, retryAfter } from '../../../src/broker/deliver-notices.js'
import { checkAddress, createPostNotice } from '../../../src/broker/post-notice.js'
import { systemClock } from '../../../src/core/clock.js'
import { webhookConfig } from '../../../src/queue/webhook-config.js'
import { signWebhook } from '../../../src/queue/webhook-signature.js'
import { startNotices } from '../../../src/worker/notices.js'
import { answer, aPerson, ask, shipRules } from '../../support/approval-story.js'
import { type Story, startStory } from '../../support/story.js'
import { startWebhookReceiver, type WebhookReceiver } from '../../support/webhook-receiver.js'

const secret = `whsec_${randomBytes(32).toString('base64')}`
let story: Story
let receiver: WebhookReceiver
let parts: Story['parts']

beforeEach(async () => {
  receiver = await startWebhookReceiver(secret)
  story = await startStory({ load: shipRules() })
  parts = { ...story.parts, announce: createAnnounce(story.parts) }
  Object.assign(story.parts, { announce: parts.announce })
})
afterEach(async () => {
  await story.close()
  await receiver.close()
})

const configured = (over: object = {}) => webhookConfig.parse({ url: receiver.url, secret, timeout: '20s', ...over })
const post = (over: object = {}) => createPostNotice(configured(over), systemClock)
const waiting = async () => (await parts.ledger.noticeState()).waiting
async function asked() {
  const caller = story.caller()
  return await ask(story, caller, await story.task(caller))
}
/** What is announced is not waited for by whoever announces it. */
async function untilWaiting(count: number) {
  while ((await waiting()) < count) await new Promise((resolve) => setTimeout(resolve, 10))
}

test('requested and approved are told once each, signed, with what an approver sees', async () => {
  const { id } = await asked()
  await untilWaiting(1)
  await deliverNotices(parts, post(), 1)
  await answer(story, id, aPerson('olga'))
  await answer(story, id, aPerson('rosa'))
  await untilWaiting(1)
  await deliverNotices(parts, post(), 1)
  expect(receiver.deliveries.map(({ verified, body }) => [verified, body.event])).toEqual([
    [true, 'approval.requested'],
    [true, 'approval.approved'],
  ])
  const [first] = receiver.deliveries
  expect(first).toMatchObject({ id: `approval.requested.${id}`, path: '/hooks/hallpass' })
  expect(first?.body).toMatchObject({
    delivery_id: first?.id,
    approval: { id, state: 'pending', group: 'release', needed: 2 },
  })
  expect(await waiting()).toBe(0)
})

test('a denial is told', async () => {
  const { id } = await asked()
  await answer(story, id, aPerson('olga'), 'deny')
  await untilWaiting(2)
  await deliverNotices(parts, post(), 1)
  expect(receiver.deliveries.map(({ body }) => body.event).sort()).toEqual(['approval.denied', 'approval.requested'])
})

test('a receiver that fails twice is told again, with the same id and body and a new signature', async () => {
  receiver.answers.push(500, 'never')
  await asked()
  const notices = startNotices(parts, post({ timeout: '6s' }), 6)
  try {
    const [first, second, third] = await receiver.until(3)
    expect([first?.id, second?.id, third?.id]).toEqual(Array(3).fill(first?.id))
    expect([first?.raw, second?.raw, third?.raw]).toEqual(Array(3).fill(first?.raw))
    expect(receiver.deliveries.every(({ verified }) => verified)).toBe(true)
    expect(Number(third?.timestamp)).toBeGreaterThan(Number(first?.timestamp))
    while ((await waiting()) > 0) await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await noticeTrouble(parts)).toBeNull()
  } finally {
    await notices.stop()
  }
  const told = await parts.metrics.registry.metrics()
  expect(told).toContain('hallpass_notices_total{outcome="failed"} 2')
  expect(told).toContain('hallpass_notices_total{outcome="delivered"} 1')
}, 90_000)

test('what fails is seen by operators, without the path of the URL, and no redirect is followed', async () => {
  receiver.answers.push(302)
  await asked()
  await untilWaiting(1)
  await deliverNotices(parts, post(), 1)
  const trouble = await noticeTrouble(parts)
  expect(trouble).toMatch(/^http:\/\/127\.0\.0\.1:\d+ answered 302 at 20.*; 1 to be told$/)
  expect(receiver.deliveries.map(({ path }) => path)).toEqual(['/hooks/hallpass'])
})

test('a worker that dies with a notice in its hands leaves it to the next', async () => {
  await asked()
  await untilWaiting(1)
  const [taken] = await parts.ledger.takeDueNotices(20, 60_000)
  expect(await parts.ledger.takeDueNotices(20, 60_000)).toEqual([])
  // As if so much time had passed.
  await story.at.raw.zincrby(`${story.at.tag}due:notices`, -60_000, taken?.id ?? '')
  const [again] = await parts.ledger.takeDueNotices(20, 60_000)
  expect(again).toEqual({ ...taken, tries: 2 })
})

test('what a crash kept from being announced is announced later, and nothing twice', async () => {
  Object.assign(story.parts, { announce: undefined })
  const { id } = await asked()
  expect(await waiting()).toBe(0)
  await announceMissed(parts)
  await announceMissed(parts)
  expect(await waiting()).toBe(1)
  await deliverNotices(parts, post(), 1)
  await announceMissed(parts)
  expect(await waiting()).toBe(0)
  expect(receiver.deliveries.map((one) => one.id)).toEqual([`approval.requested.${id}`])
})

test('the last try gives up: it waits no more', async () => {
  receiver.answers.push(500)
  await asked()
  await untilWaiting(1)
  const [due] = await parts.ledger.takeDueNotices(1, 0)
  await parts.ledger.noticeFailed(due?.id ?? '', 'x', null)
  expect(await waiting()).toBe(0)
  expect(await parts.ledger.addNotice({ id: due?.id ?? '', body: '{}' })).toBe('again')
})

test('pauses double up to five minutes, with a random half taken off', () => {
  for (const [tries, full] of [
    [1, 1000],
    [5, 16_000],
    [20, 300_000],
  ] as const) {
    const ms = retryAfter(tries)
    expect(ms).toBeGreaterThanOrEqual(full / 2)
    expect(ms).toBeLessThanOrEqual(full)
  }
})

describe('the address', () => {
  const never = { id: 'x', body: '{}' }
  test.each([
    ['https://10.0.0.5/hook', 'not public'],
    ['https://169.254.169.254/latest', 'not public'],
    ['https://[::1]/hook', null],
  ])('%s', async (url, refusal) => {
    const webhook = webhookConfig.parse({ url, secret })
    const outcome = await createPostNotice(
      webhook,
      systemClock,
    )(never).then(
      () => 'sent',
      (error: Error) => error.message,
    )
    if (refusal === null) expect(outcome).not.toContain('not public')
    else expect(outcome).toContain(refusal)
  })

  test('a name that leads to a private address is refused, and allowed where that is configured', async () => {
    const privately = async () => [{ address: '10.1.2.3', family: 4 }]
    const webhook = webhookConfig.parse({ url: 'https://hooks.acme.example/T000/secret', secret })
    const failure = await createPostNotice(
      webhook,
      systemClock,
      privately,
    )(never).catch((error: Error) => error.message)
    expect(failure).toMatch(
      /^https:\/\/hooks\.acme\.example hooks\.acme\.example resolves to an address that is not public/,
    )
    expect(failure).not.toContain('T000')
    await expect(checkAddress(webhook, privately)).rejects.toThrow('not public')
    await expect(checkAddress({ ...webhook, allow_private_addresses: true }, privately)).resolves.toBeUndefined()
  })
})

describe('the configuration', () => {
  test.each([
    [{ url: 'http://hooks.acme.example/' }, 'https://'],
    [{ secret: 'hunter2' }, 'whsec_'],
    [{ secret: `whsec_${Buffer.alloc(8).toString('base64')}` }, 'whsec_'],
    [{ timeout: '5m' }, '1s to 60s'],
  ])('%j is refused', (over, says) => {
    const parsed = webhookConfig.safeParse({ url: 'https://hooks.acme.example', secret, ...over })
    expect(parsed.error?.issues[0]?.message).toContain(says)
  })

  test('while secrets rotate, each signs', async () => {
    const older = `whsec_${randomBytes(24).toString('base64')}`
    await asked()
    await untilWaiting(1)
    await deliverNotices(parts, post({ secret: `${older},${secret}` }), 1)
    expect(receiver.deliveries.map(({ verified }) => verified)).toEqual([true])
  })

  test('signs as the vector of the Standard Webhooks libraries', () => {
    const key = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64')
    const body = '{"test": 2432232314}'
    expect(signWebhook([key], 'msg_p5jXN8AQM9LWM0D4loKWxJek', body, 1_614_265_330_000)).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    })
  })
})
