// An operator's order over 10,000 leases must not keep those waiting who complete a task meanwhile.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { endLeases } from '../../../src/broker/end-leases.js'
import { createId } from '../../../src/core/ids.js'
import { isEnded } from '../../../src/ledger/lease.js'
import { type RevocationWorkers, startRevocationWorkers } from '../../../src/worker/revocation-worker.js'
import { type Sweeper, startSweeper } from '../../../src/worker/sweeper.js'
import { aReservation, openTask } from '../../support/ledger.js'
import { type Story, startStory } from '../../support/story.js'

const many = 10_000
let story: Story
let workers: RevocationWorkers
let sweeper: Sweeper
beforeAll(async () => {
  story = await startStory({ limits: '{ provider: { active_leases: 100000 } }' })
})
afterAll(async () => {
  await Promise.all([workers?.drain(5000), sweeper?.stop(5000)])
  await story.close()
})

/** Live leases of the jwt provider, written as the broker writes them. */
async function liveLeases(count: number): Promise<string[]> {
  const { ledger, sealing } = story.parts
  const task = await openTask(ledger)
  const limits = { task: 1_000_000, account: 1_000_000, provider: 1_000_000 }
  const one = await aReservation(ledger, task, { provider: 'tokens' }, { ttlSeconds: 600, limits })
  const make = async () => {
    const lease = createId('lease', Date.now())
    for (let answer = 'version'; answer === 'version'; ) {
      const { holders } = await ledger.lookHolders(task.holders)
      const reservation = { ...one, lease, versions: holders.map(({ version }) => version) }
      // One that reaches Redis after 3 s is refused, rightly, and has left nothing behind.
      answer = await ledger.reserve(reservation).then(
        ({ outcome }) => outcome,
        () => 'version',
      )
    }
    const exp = Math.floor(Date.now() / 1000) + 600
    const sealedHandle = sealing.seal({ jti: lease, exp, verified_by: 'introspection' }, lease, 'tokens')
    await ledger.activate(
      lease,
      { sealedHandle, providerExpiresAt: exp * 1000, providerRef: lease, fingerprints: [] },
      [],
    )
    return lease
  }
  const leases: string[] = []
  while (leases.length < count) {
    await ledger.takeDue([], 1)
    leases.push(...(await Promise.all(Array.from({ length: 100 }, make))))
  }
  return leases
}

const leftOf = async (leases: readonly string[]) => {
  let left = 0
  for (let i = 0; i < leases.length; i += 1000) {
    const page = await story.parts.ledger.findLeases(leases.slice(i, i + 1000))
    left += page.filter((lease) => !isEnded(lease.state)).length
  }
  return left
}

test('what somebody waits for is ended while thousands stand in the queue before it', async () => {
  const leases = await liveLeases(many)
  const interactive = []
  for (let i = 0; i < 20; i++) interactive.push(await story.bought({ action: 'token.read', ttl_seconds: 600 }))
  const order = { reason: 'revoked', actor: 'operator', revocation: createId('rev', Date.now()), forced: true } as const
  await endLeases(story.parts, leases, order)
  workers = startRevocationWorkers(story.parts, story.broker.connectPatient, story.redis.prefix)
  sweeper = startSweeper(story.parts)
  const started = performance.now()
  const took: number[] = []
  for (const { task, lease } of interactive) {
    const ordered = performance.now()
    await story.endTask(task)
    while (!isEnded((await story.lease(lease.id)).state)) await new Promise((resolve) => setTimeout(resolve, 2))
    took.push(performance.now() - ordered)
  }
  // All of them were through while most of the order was not: they did not queue behind it.
  const left = await leftOf(leases)
  const rate = (many - left) / (performance.now() - started)
  const wholeOrderMs = many / rate
  took.sort((a, b) => a - b)
  const [median = 0, slowest = 0] = [took[10], took.at(-1)]
  process.stderr.write(
    `fairness: ${left} of ${many} left after ${took.length} interactive ends, median ${median.toFixed(0)} ms, slowest ${slowest.toFixed(0)} ms; the order takes ${(wholeOrderMs / 1000).toFixed(1)} s\n`,
  )
  expect(left).toBeGreaterThan(many / 20)
  expect(median).toBeLessThan(wholeOrderMs / 20)
  expect(slowest).toBeLessThan(wholeOrderMs / 4)
}, 300_000)
