// From reserved to active: what is kept beside the lease then, and when it is refused.
import { describe, expect, test } from '@jest/globals'
import { activeLease, anActivation, letTimePass, openTask, reserve, settlementOf } from '../../support/ledger.js'
import { aProvider, besideLease, ledgerOfThisFile } from '../../support/ledger-of-file.js'

const at = ledgerOfThisFile()

describe('an activation', () => {
  test('is due at its deadline from then on, and counted as active', async () => {
    const [task, { provider }] = [await openTask(at.ledger), aProvider()]
    const lease = await reserve(at.ledger, task, { provider })
    const answer = await at.ledger.activate(lease, anActivation, [])
    const fields = await at.fieldsOf(lease)
    expect(answer).toEqual({ outcome: 'ok', issuedAt: Number(fields.issued) })
    expect(fields).toMatchObject({ state: 'active', handle: 'sealed' })
    expect(fields).not.toHaveProperty('mint')
    expect(await besideLease(at, lease, provider, task)).toMatchObject({
      due: Number(fields.expires),
      counted: { active: '1' },
      held: [1, 1],
    })
    expect((await besideLease(at, lease, provider, task)).counted).not.toHaveProperty('reserved')
  })

  test('that comes too late, twice or for nothing is refused; what it knows is kept while there is something to end', async () => {
    const task = await openTask(at.ledger)
    const activate = async (lease: string) =>
      (await at.ledger.activate(lease, { ...anActivation, sealedHandle: 'late' }, [])).outcome
    const late = await reserve(at.ledger, task)
    await letTimePass(at, late, 60_001)
    expect(await activate(late)).toBe('late')
    expect(await at.fieldsOf(late)).toMatchObject({ state: 'reserved', handle: 'late' })
    const ordered = await reserve(at.ledger, task)
    await at.ledger.endLeases([ordered], { reason: 'released', actor: 'a', mintOver: true })
    expect(await activate(ordered)).toBe('state')
    expect(await at.fieldsOf(ordered)).toMatchObject({ state: 'revoking', handle: 'late' })
    const twice = await activeLease(at.ledger, task)
    expect(await activate(twice)).toBe('state')
    expect((await at.fieldsOf(twice)).state).toBe('active')
    await at.ledger.claim(ordered, 'w')
    await at.ledger.settle(ordered, 'w', settlementOf('revoked'))
    await at.raw.hdel(`${at.tag}l:${ordered}`, 'handle')
    expect(await activate(ordered)).toBe('state')
    expect(await at.fieldsOf(ordered)).not.toHaveProperty('handle')
    expect(await activate('lease_never')).toBe('state')
    expect(await at.raw.exists(`${at.tag}l:lease_never`)).toBe(0)
  })

  test('in a task that has ended says so, also where its own end was ordered already', async () => {
    const task = await openTask(at.ledger)
    const [one, two] = [await reserve(at.ledger, task), await reserve(at.ledger, task)]
    await at.ledger.endTask(task.id, 'succeeded')
    await at.ledger.endLeases([two], { reason: 'completed', actor: 'a' })
    for (const lease of [one, two]) {
      expect(await at.ledger.activate(lease, anActivation, [])).toEqual({ outcome: 'closed' })
    }
  })
})

describe('activate is refused', () => {
  test('closed, when the task ended meanwhile, also where that has already told the lease to end', async () => {
    const task = await openTask(at.ledger)
    const lease = await reserve(at.ledger, task)
    await at.ledger.endTask(task.id, 'succeeded')
    expect(await at.ledger.activate(lease, anActivation, [])).toEqual({ outcome: 'closed' })
    await at.ledger.endLeases([lease], { reason: 'completed', actor: 'a' })
    expect(await at.ledger.activate(lease, anActivation, [])).toEqual({ outcome: 'closed' })
    expect((await at.ledger.findLease(lease))?.sealedHandle).toBe('sealed')
  })

  test('locked, when an operator locked it meanwhile', async () => {
    const lease = await reserve(at.ledger, await openTask(at.ledger))
    await at.raw.hset(`${at.tag}locked`, 'action=repo.read', 1)
    const answer = await at.ledger.activate(lease, anActivation, ['lease=x', 'action=repo.read'])
    await at.raw.del(`${at.tag}locked`)
    expect(answer).toEqual({ outcome: 'locked' })
    expect((await at.ledger.findLease(lease))?.sealedHandle).toBe('sealed')
  })

  test('late, when its own deadline is over', async () => {
    const lease = await reserve(at.ledger, await openTask(at.ledger))
    await letTimePass(at, lease, 61_000)
    expect(await at.ledger.activate(lease, anActivation, [])).toEqual({ outcome: 'late' })
  })

  test('for a lease that is not there', async () => {
    expect(await at.ledger.activate('lease_none', anActivation, [])).toEqual({ outcome: 'state' })
    expect(await at.ledger.noteHandle('lease_none', 'sealed')).toBe('state')
    expect(await at.ledger.claim('lease_none', 'w')).toEqual({ outcome: 'terminal' })
    expect(await at.ledger.settle('lease_none', 'w', settlementOf('revoked'))).toBe(false)
    expect(await at.raw.exists(`${at.tag}l:lease_none`)).toBe(0)
  })
})
