// A lease that is written again: what the ledger has of it stays, what it lacks is added, and what others know to be over stays over.
import { beforeEach, describe, expect, test } from '@jest/globals'
import { systemClock } from '../../../src/core/clock.js'
import { createId } from '../../../src/core/ids.js'
import type { LostLease } from '../../../src/ledger/restoration.js'
import type { Task } from '../../../src/ledger/task.js'
import { activeLease, aRecord, aTask, openTask, reserve } from '../../support/ledger.js'
import { ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()
let task: Task
beforeEach(async () => {
  task = await openTask(at.ledger)
})

const now = systemClock.now

/** As the audit tells of one that was issued ten seconds ago, for a minute. */
function lost(over: Partial<LostLease> = {}): LostLease {
  const times = { reservedAt: now() - 10_000, expiresAt: now() + 50_000 }
  const issued = { at: now() - 9000, sealedHandle: 'from the audit', providerExpiresAt: now() + 50_000 }
  return {
    id: createId('lease', now()),
    record: aRecord(task),
    ...times,
    idempotency: null,
    judgedBy: null,
    issued: { ...issued, providerRef: 'ref', fingerprints: [] },
    end: null,
    ...over,
  }
}

const ended = (state: 'revoked' | 'released' | 'abandoned' | 'void') => ({
  state,
  reason: 'released' as const,
  actor: 'caller',
  receipt: { outcome: 'confirmed', evidence: 'probe_dead', at: now() } as const,
  attempts: 1,
  at: now(),
})

const holding = async () => (await at.ledger.lookHolders(task.holders)).holders.map(({ activeLeases }) => activeLeases)

describe('one that the ledger still has', () => {
  test('gets the handle that it lacks: without it nobody could end the credential', async () => {
    const id = await reserve(at.ledger, task)
    expect(await at.restoration.restoreLease(lost({ id }))).toBe('exists')
    expect(await at.ledger.findLease(id)).toMatchObject({ state: 'reserved', sealedHandle: 'from the audit' })
  })

  test('keeps the handle that it was activated with', async () => {
    const id = await activeLease(at.ledger, task)
    expect(await at.restoration.restoreLease(lost({ id }))).toBe('exists')
    expect(await at.ledger.findLease(id)).toMatchObject({ state: 'active', sealedHandle: 'sealed' })
  })

  test('gets the whole handle where it only has what was noted while it was minted', async () => {
    const id = await reserve(at.ledger, task)
    await at.ledger.noteHandle(id, 'noted')
    expect(await at.restoration.restoreLease(lost({ id }))).toBe('exists')
    expect(await at.ledger.findLease(id)).toMatchObject({ sealedHandle: 'from the audit' })
  })
})

describe('one that the ledger lost', () => {
  test('counts in its task again, and its provider is looked after', async () => {
    await at.raw.del(`${at.tag}providers`)
    const restored = lost()
    expect(await at.restoration.restoreLease(restored)).toBe('restored')
    expect(await at.ledger.findTask(task.id)).toMatchObject({ activeLeases: 1 })
    expect(await at.raw.smembers(`${at.tag}providers`)).toEqual(['far'])
    expect(await holding()).toEqual([1, 1])
  })

  test('and that another instance knows to be over does not come back as alive', async () => {
    const over = lost()
    expect(await at.restoration.restoreEnd(over.id)).toBe('over')
    expect(await at.restoration.restoreLease(over)).toBe('ended')
    expect(await at.ledger.findLease(over.id)).toBeNull()
    expect(await holding()).toEqual([0, 0])
  })

  test.each(['released', 'abandoned'] as const)(
    '%s, is held until its natural end, and no longer: that has passed',
    async (state) => {
      expect(await at.restoration.restoreLease(lost({ end: ended(state) }))).toBe('restored')
      expect(await holding()).toEqual([1, 1])
      const past = lost({ expiresAt: now() - 1000, end: ended(state) })
      expect(await at.restoration.restoreLease(past)).toBe('restored')
      expect(await holding()).toEqual([1, 1])
      expect(await at.ledger.findTask(task.id)).toMatchObject({ activeLeases: 0 })
    },
  )

  test.each([
    ['void', 0],
    ['revoked', 1],
  ] as const)('%s: room at its provider is taken by what was minted', async (state, taken) => {
    const record = aRecord(task, { capacity: `room-of-${state}` })
    await at.restoration.restoreLease(lost({ record, end: ended(state) }))
    expect(await at.raw.zcard(`${at.tag}cap:far:room-of-${state}`)).toBe(taken)
  })
})

test('a task that is written again counts what is alive of its leases alone', async () => {
  const other = aTask()
  const record = aRecord(other)
  await at.restoration.restoreLease(lost({ record }))
  await at.restoration.restoreLease(lost({ record, end: ended('revoked') }))
  const holders = other.holders.map((one) => [one.id, one.kind, one.windowMs] as const)
  const times = { openedAt: now(), expiresAt: now() + 60_000 }
  const rest = { outcome: null, idempotency: null, heartbeatSeconds: null }
  await at.restoration.restoreTask({ id: other.id, record: { ...other, holders }, ...times, ...rest })
  expect(await at.ledger.findTask(other.id)).toMatchObject({ state: 'open', activeLeases: 1 })
})
