// What is done to it, each lane by its own choices of the seed, until it is over; then everything is put right again.
import { type Book, countOne } from './book.js'
import { askOnce, createWorkload, noteHanded, openTask } from './callers.js'
import { farMoods } from './far-line.js'
import type { FarSide } from './far-sides.js'
import type { Ground } from './ground.js'
import type { Mortal } from './programs.js'
import { createRandom, pause, pauseUnless, type Random } from './random.js'

export interface FaultOptions {
  readonly seed: number
  /** 1: as in a soak of minutes. Less: more often and shorter. */
  readonly scale: number
  isOver(): boolean
}

interface Lane extends FaultOptions {
  readonly ground: Ground
  readonly book: Book
  readonly random: Random
  /** Milliseconds between the two, by the scale. Ends early when it is over. */
  wait(low: number, high: number): Promise<void>
}

/** Resolves when it is over and nothing is broken any more but what must heal by itself. */
export async function runFaults(ground: Ground, book: Book, options: FaultOptions): Promise<void> {
  const laneOf = (name: string): Lane => {
    const random = createRandom(options.seed, name)
    const wait = (low: number, high: number) => pauseUnless(options.isOver, random.between(low, high) * options.scale)
    return { ...options, ground, book, random, wait }
  }
  const { serves, workers, vault, sts } = ground
  await Promise.all([
    ...[...serves, ...workers].map((mortal) => endAndHold(laneOf(mortal.title), mortal)),
    upsetRedis(laneOf('redis')),
    upsetFarSide(laneOf('vault'), 'vault', vault),
    upsetFarSide(laneOf('sts'), 'sts', sts),
    moveClocks(laneOf('clocks')),
  ])
}

/** Killed, drained, or held as a machine is that sleeps: held workers come back with claims that others took over. */
async function endAndHold(lane: Lane, mortal: Mortal): Promise<void> {
  const { random, book, isOver } = lane
  for (;;) {
    // A broker needs some seconds to be of use again.
    await (mortal.name === 'serve' ? lane.wait(8000, 30_000) : lane.wait(4000, 12_000))
    if (isOver()) return
    const kind = random.pick(['killed', 'killed', 'killed', 'drained', 'held'])
    countOne(book.faults, `${mortal.name} ${kind}`)
    if (kind === 'killed') mortal.kill('SIGKILL')
    if (kind === 'drained') mortal.kill('SIGTERM')
    if (kind !== 'held') continue
    mortal.hold()
    // A claim is taken over after 3 s.
    await pause(random.between(1000, 6000))
    mortal.goOn()
  }
}

async function upsetRedis(lane: Lane): Promise<void> {
  const { ground, random, book, isOver } = lane
  const { redis } = ground
  for (;;) {
    await lane.wait(5000, 13_000)
    if (isOver()) return
    const kind = random.pick(['restarted', 'cut off', 'silent', 'out of memory', 'queues wiped', 'queues wiped'])
    countOne(book.faults, `redis ${kind}`)
    if (kind === 'restarted') {
      await redis.kill()
      await lane.wait(200, 3000)
      await redis.start()
    }
    if (kind === 'cut off' || kind === 'silent') {
      redis.line.turn(kind === 'silent' ? 'hang' : 'cut')
      await lane.wait(500, 4000)
      redis.line.turn('open')
    }
    if (kind === 'out of memory') {
      await redis.client.config('SET', 'maxmemory', '1mb')
      await lane.wait(1500, 4000)
      await redis.client.config('SET', 'maxmemory', '0')
    }
    if (kind === 'queues wiped') await wipeQueues(ground)
  }
}

/** All keys of BullMQ and none of the ledger's: their tags differ. */
async function wipeQueues({ redis: { client, prefix } }: Ground): Promise<void> {
  for (let cursor = '0'; ; ) {
    const [next, names] = await client.scan(cursor, 'MATCH', `{${prefix}:*`, 'COUNT', 1000)
    if (names.length > 0) await client.del(...names)
    cursor = next
    if (cursor === '0') return
  }
}

async function upsetFarSide(lane: Lane, name: string, { line }: FarSide): Promise<void> {
  for (;;) {
    await lane.wait(2000, 7000)
    if (lane.isOver()) return
    line.mood = lane.random.pick(farMoods)
    countOne(lane.book.faults, `${name} ${line.mood}`)
    await lane.wait(1000, 4000)
    line.mood = 'works'
  }
}

/** A program whose clock jumps, at once or as it starts. A broker more than 5 s off must issue nothing. */
async function moveClocks(lane: Lane): Promise<void> {
  const { ground, random, book, isOver } = lane
  const asker = await createWorkload(ground, book, 8000)
  for (;;) {
    await lane.wait(4000, 12_000)
    if (isOver()) return
    const mortal = random.pick([...ground.serves, ...ground.workers] as [Mortal, ...Mortal[]])
    const offset = random.pick([-60_000, -7000, 7000, 60_000])
    const atStart = random.chance(0.5)
    countOne(book.faults, `${mortal.name} clock ${offset < 0 ? 'back' : 'ahead'}${atStart ? ', from the start' : ''}`)
    mortal.setClock(offset)
    if (atStart) {
      mortal.kill('SIGKILL')
      await pause(300)
      await mortal.untilStarted(20).catch(() => {})
    } else await pause(300)
    if (mortal.name === 'serve') await askWithWrongClock(lane, mortal, asker)
    await lane.wait(1000, 4000)
    mortal.setClock(0)
  }
}

async function askWithWrongClock(
  { ground, book, random }: Lane,
  mortal: Mortal,
  asker: Awaited<ReturnType<typeof createWorkload>>,
): Promise<void> {
  const right = ground.serves.find((one) => one !== mortal) ?? mortal
  const task = await openTask(asker, right, book, 30)
  if (task === null) return
  for (let i = 0; i < 3; i++) {
    const asked = { action: 'report.read', resource: 'repo:acme/web' }
    const answer = await askOnce(asker, mortal, { task, asked, ttl: 3 })
    if (answer?.status !== 201) continue
    const lease = noteHanded(book, answer, asked)
    book.wrong.push({ check: 'clock', what: `${mortal.title} issued ${lease}` })
  }
  await pause(random.between(0, 100))
}
