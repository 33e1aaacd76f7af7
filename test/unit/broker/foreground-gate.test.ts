import { expect, test } from '@jest/globals'
import { ForegroundGate } from '../../../src/broker/foreground-gate.js'

/** Work that is over when it is told to be. */
function work() {
  let end = () => {}
  let fail = (_: Error) => {}
  const over = new Promise<string>((resolve, reject) => {
    end = () => resolve('over')
    fail = reject
  })
  return { over, end, fail }
}

async function hasGoneOn(pausing: Promise<void>): Promise<boolean> {
  let gone = false
  void pausing.then(() => {
    gone = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  return gone
}

test('nobody pauses where nobody waits', async () => {
  expect(await hasGoneOn(new ForegroundGate().giveWay(60_000))).toBe(true)
})

test('pauses until all that somebody waits for is over, failed or not, and passes on what came of it', async () => {
  const gate = new ForegroundGate()
  const [one, other] = [work(), work()]
  const answers = [gate.runFirst(one.over), gate.runFirst(other.over)]
  const failed = expect(answers[1]).rejects.toThrow('no')
  const pausing = gate.giveWay(60_000)
  one.end()
  expect(await answers[0]).toBe('over')
  expect(await hasGoneOn(pausing)).toBe(false)
  other.fail(new Error('no'))
  await failed
  await pausing
  expect(await hasGoneOn(gate.giveWay(60_000))).toBe(true)
})

test('does not pause for good, however many wait', async () => {
  const gate = new ForegroundGate()
  const endless = work()
  const answer = gate.runFirst(endless.over)
  await gate.giveWay(20)
  endless.end()
  await answer
})
