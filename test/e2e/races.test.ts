// I8 over several real processes: what may not be held together is not, however many ask at once; `npm run races` does it a
// thousand times.
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { runRaces } from '../../scripts/races/run-races.js'

const program = fileURLToPath(new URL('../../dist/scripts/races/program.js', import.meta.url))

test('of 64 simultaneous requests at three brokers exactly the allowed set is issued, round after round', async () => {
  const races = await runRaces({
    ...{ seed: 7, rounds: 30, brokers: 3, requests: 64, program },
    isOver: () => false,
    say: () => undefined,
  })
  expect(races.results.flatMap(({ name, faults }) => faults.map((fault) => `${name}: ${fault}`))).toEqual([])
  expect(races.results.map(({ rounds }) => rounds)).toEqual([30, 3, 3, 3, 3])
  for (const { name, outcomes, decisionsPerRequest } of races.results) {
    expect([name, Object.keys(outcomes).sort()]).toEqual([name, ['denied', 'issued']])
    // Had nobody been decided again, they would have come one after another, and this would have shown nothing.
    expect(decisionsPerRequest).toBeGreaterThan(1)
  }
  expect(races.passed).toBe(true)
}, 300_000)
