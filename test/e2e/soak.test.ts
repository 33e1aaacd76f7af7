// Everything goes wrong at once for some seconds, by the choices of a seed; `npm run soak` does it for minutes.
// HALLPASS_SOAK_SEED makes a run's choices again.
import { randomInt } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { printTable } from '../../scripts/soak/report.js'
import { runSoak } from '../../scripts/soak/soak.js'
import { hallpassProgram } from '../support/stack.js'

const seed = Number(process.env.HALLPASS_SOAK_SEED ?? randomInt(1_000_000))

test(`killed, cut off, lied to and with wrong clocks: nothing outlives its deadline, is lost or is claimed (seed ${seed})`, async () => {
  const outcome = await runSoak({
    seed,
    seconds: 12,
    callers: 8,
    scale: 0.5,
    // Quicker than a real one, and alike: the contract suite says so.
    standIns: true,
    // What is in doubt of a secret waits for a minute beyond its natural end: that is for the long run.
    secrets: false,
    hallpass: hallpassProgram,
    say: (line) => void process.stderr.write(`soak: ${line}\n`),
  })
  process.stderr.write(printTable(outcome))
  expect(outcome.wrong).toEqual([])
  expect(outcome.passed).toBe(true)
  // That so little went wrong must not be for want of anything that happened.
  expect(outcome.handed).toBeGreaterThan(10)
  expect(Object.keys(outcome.faults).length).toBeGreaterThan(3)
}, 300_000)
