// Between the asking and the minting the world changes: policies, resources, groups, locks.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { exchange } from '../../../src/broker/exchange.js'
import { openTask } from '../../../src/broker/open-task.js'
import type { Caller, Parts } from '../../../src/broker/parts.js'
import { removeLock } from '../../../src/broker/remove-lock.js'
import { setLock } from '../../../src/broker/set-lock.js'
import { composeRules } from '../../../src/compose/rules.js'
import { systemClock } from '../../../src/core/clock.js'
import { answer, aPerson, approved, ask, repeat, shipping, shipRules, wantedBy } from '../../support/approval-story.js'
import { handOver, openChild, toDelegate } from '../../support/chain.js'
import { codeOf, refusalOf, type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory({ load: shipRules() })
})
afterAll(() => story?.close())

const lastOf = async (id: string) => (await story.records()).filter((record) => record.approval === id).at(-1)

/** The same broker under other rules. */
async function under(change: Parameters<typeof shipRules>[0]): Promise<Parts> {
  const folder = await mkdtemp(join(tmpdir(), 'hallpass-rules-'))
  try {
    const loaded = await shipRules(change)(folder, '')
    const { rules } = await composeRules(loaded.settings, loaded.file, systemClock)
    return { ...story.parts, rules: () => rules }
  } finally {
    await rm(folder, { recursive: true })
  }
}
type Texts = { config: string; policies: string }
const config = (from: string, to: string) => (text: Texts) => ({ ...text, config: text.config.replace(from, to) })
const policies = (from: string, to: string) => (text: Texts) => ({ ...text, policies: text.policies.replace(from, to) })
describe('an approval', () => {
  test('is not voided by a policy that has nothing to do with it', async () => {
    const given = await approved(story)
    const more = '@id("more") permit (principal in Issuer::"ci", action == Action::"repo.read", resource);\n'
    const parts = await under((text) => ({ ...text, policies: `${text.policies}${more}` }))
    expect(parts.rules().policy.hash).not.toBe(story.parts.rules().policy.hash)
    expect((await repeat(parts, given)).lease.record.policies).toEqual(['ship'])
  })

  test.each([
    ['the count of its offer', policies('"release:2"', '"release:1"'), ['offer']],
    ['the @id of its offer', policies('@id("ship")', '@id("ship-anew")'), ['offer']],
    ['the lifetime of its offer', policies('@max_ttl("5m")', '@max_ttl("30s")'), ['ttl_seconds']],
    ['an attribute of its resource', config('{ sensitivity: low }', '{ sensitivity: high }'), ['resource']],
    [
      'its recipe',
      config(
        'ship.run: { access: admin, resource: repo, provider: far, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://api.test"',
        'ship.run: { access: admin, resource: repo, provider: far, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://other.test"',
      ),
      ['recipe'],
    ],
    [
      'that it needs none any more',
      policies('@id("ship") @approval("release:2") @max_ttl("5m")', '@id("ship") @max_ttl("5m")'),
      ['offer'],
    ],
  ])('is void when %s changed', async (_what, change, differs) => {
    const given = await approved(story)
    const mints = story.far.count('create')
    const refused = await refusalOf(repeat(await under(change), given))
    expect(refused).toMatchObject({ code: 'approval_required', members: { differs } })
    expect(await lastOf(given.id)).toMatchObject({ event: 'decision.approval_required', differs })
    expect(story.far.count('create')).toBe(mints)
    expect(await story.parts.ledger.leasesOfTask(given.task.id)).toEqual([])
  })

  test('does not count any more when one who agreed was removed from the group, or may not approve', async () => {
    const given = await approved(story)
    for (const change of [
      config('"staff:rosa", ', ''),
      policies(
        'permit (principal in Group::"release", action in',
        'permit (principal == Operator::"staff:olga", action in',
      ),
    ]) {
      const refused = await refusalOf(repeat(await under(change), given))
      expect(refused).toMatchObject({ code: 'approval_required', detail: expect.stringMatching(/does not count/) })
      expect(await lastOf(given.id)).toMatchObject({
        code: 'approval_required',
        why: expect.stringMatching(/count/),
        // Policies are told of nobody else either.
        decision: { input: { approval: { approvers: ['staff:olga'] } } },
      })
    }
    await repeat(story.parts, given)
  })

  test('does not count any more when the issuer would not vouch for one who agreed', async () => {
    const given = await approved(story)
    const parts = await under(config('audience: staff }', 'audience: staff, require: { sub: [olga, pete] } }'))
    expect(await refusalOf(repeat(parts, given))).toMatchObject({ code: 'approval_required' })
    expect(await lastOf(given.id)).toMatchObject({ code: 'approval_required', why: expect.stringMatching(/count/) })
    expect(await story.parts.ledger.leasesOfTask(given.task.id)).toEqual([])
    await repeat(story.parts, given)
  })

  test('is given by the same answer once more, where that is enough by now', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const { id } = await ask(story, caller, task)
    await answer(story, id, aPerson('olga'))
    const without = { parts: await under(config('"staff:olga", ', '')) }
    expect((await answer(without, id, aPerson('rosa'))).state).toBe('pending')
    expect((await answer(story, id, aPerson('rosa'))).state).toBe('approved')
    expect(await lastOf(id)).toMatchObject({ event: 'approval.answered', actor: 'staff:rosa', state: 'approved' })
    await exchange(story.parts, caller, task.id, shipping({ approval_id: id }), null)
  })

  test('that does not count any more is asked for anew, and the old one is over for good', async () => {
    const given = await approved(story)
    const parts = await under(config('"staff:rosa", ', ''))
    const anew = await wantedBy(exchange(parts, given.caller, given.task.id, shipping(), null))
    expect([anew.id === given.id, anew.state, anew.votes]).toEqual([false, 'pending', []])
    expect(await lastOf(given.id)).toMatchObject({ event: 'approval.expired', reason: 'approver_removed' })
    // Not even where who agreed is back again: else two would be good for one request.
    expect(await codeOf(repeat(story.parts, given))).toBe('approval_required')
    expect((await wantedBy(story.buy(given.caller, given.task, shipping()))).id).toBe(anew.id)
  })

  test('buys nothing while somebody who agreed is locked', async () => {
    const given = await approved(story)
    const mints = story.far.count('create')
    const target = { principal: 'staff:rosa' }
    const { lock } = await setLock(story.parts, story.operator(), { target, reason: 'a stolen session' })
    const refused = await refusalOf(repeat(story.parts, given))
    expect(refused).toMatchObject({ code: 'locked', detail: expect.stringContaining('a stolen session') })
    expect(story.far.count('create')).toBe(mints)
    expect((await story.parts.ledger.findApproval(given.id))?.state).toBe('approved')
    await removeLock(story.parts, story.operator(), lock)
    await repeat(story.parts, given)
  })

  test('is of the grant in force when it is used, not of the one that was in force when the repeat came', async () => {
    const given = await approved(story)
    const grant = 'ship.run: { access: admin, resource: repo, provider: far, '
    const stricter = await under(config(grant, `${grant}require: { max_ttl: 5s }, `))
    let rules = story.parts.rules
    const findApproval = async (id: string) => {
      const found = await story.parts.ledger.findApproval(id)
      rules = stricter.rules
      return found
    }
    const parts = { ...story.parts, rules: () => rules(), ledger: { ...story.parts.ledger, findApproval } }
    const refused = await refusalOf(repeat(parts, given))
    expect(refused).toMatchObject({ code: 'approval_required', members: { differs: ['ttl_seconds'] } })
    expect(await story.parts.ledger.leasesOfTask(given.task.id)).toEqual([])
    await repeat(story.parts, given)
  })

  test('does not bend a rule: the repeat is decided again with what is held by then', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const unsure = { action: 'ship.unsure' }
    const { id } = await ask(story, caller, task, unsure)
    await answer(story, id, aPerson('olga'))
    const { lease } = await story.buy(caller, task)
    const mints = story.far.count('create')
    const refused = await refusalOf(story.buy(caller, task, shipping({ ...unsure, approval_id: id })))
    expect(refused).toMatchObject({ code: 'denied', members: { decision: { policies: ['not-while-reading'] } } })
    expect(story.far.count('create')).toBe(mints)
    expect((await story.parts.ledger.findApproval(id))?.state).toBe('approved')
    expect((await story.parts.ledger.leasesOfTask(task.id)).filter((one) => one !== lease.id)).toEqual([])
  })

  test('is neither asked for nor given nor used while its target is locked', async () => {
    const given = await approved(story)
    const { id } = await ask(story, given.caller, given.task, { resource: 'repo:acme/other' })
    const lockOn = async (target: { principal: string }) =>
      (await setLock(story.parts, story.operator(), { target, reason: 'incident' })).lock
    const lock = await lockOn({ principal: given.caller.principal.id })
    for (const work of [
      () => story.buy(given.caller, given.task, shipping({ resource: 'repo:acme/third' })),
      () => answer(story, id, aPerson('olga')),
      () => repeat(story.parts, given),
    ]) {
      expect(await codeOf(work())).toBe('locked')
    }
    await removeLock(story.parts, story.operator(), lock)
    const onOlga = await lockOn({ principal: 'staff:olga' })
    expect(await codeOf(answer(story, id, aPerson('olga')))).toBe('locked')
    // Both tries are on record, as refusals: no answer was written down that would have to be taken back.
    const written = (await story.records()).filter((record) => record.approval === id)
    expect(written.map(({ event, code }) => [event, code])).toEqual([
      ['approval.requested', undefined],
      ['operator.refused', 'locked'],
      ['operator.refused', 'locked'],
    ])
    expect((await answer(story, id, aPerson('olga'), 'deny')).state).toBe('denied')
    await removeLock(story.parts, story.operator(), onOlga)
  })
})

test('no human behind anybody above in the chain may approve what is asked below', async () => {
  const boss = story.caller(undefined, { person: 'olga@acme.example' })
  const helper = story.caller()
  const pair = { action: 'ship.run', resource: 'repo:acme/web' }
  const { delegation } = await handOver(story, boss, await story.task(boss), toDelegate(helper), [pair])
  const { task } = await openChild(story, helper, delegation.id)
  const { id } = await ask(story, helper, task)
  expect(await codeOf(answer(story, id, aPerson('olga')))).toBe('not_permitted')
  await answer(story, id, aPerson('rosa'))
  expect((await answer(story, id, aPerson('pete'))).state).toBe('approved')
  const { lease } = await story.buy(helper, task, shipping({ approval_id: id }))
  expect(lease.record.chain).toHaveLength(2)
})

test('nobody acts below somebody whom the issuer would not vouch for any more', async () => {
  const [boss, helper] = [story.caller(), story.caller()]
  const pair = { action: 'repo.read', resource: 'repo:acme/web' }
  const { delegation } = await handOver(story, boss, await story.task(boss), toDelegate(helper), [pair])
  const { task } = await openChild(story, helper, delegation.id)
  const seen = story.far.seen.length
  const require = (who: readonly Caller[]) =>
    under(
      config(
        'ci: { type: oidc,',
        `ci: { type: oidc, require: { sub: ${JSON.stringify(who.map(({ principal }) => principal.subject))} },`,
      ),
    )
  const request = { action: 'repo.read', resource: 'repo:acme/web', context: {} }
  const refused = await refusalOf(exchange(await require([helper]), helper, task.id, request, null))
  expect(refused).toMatchObject({ code: 'not_permitted', detail: expect.stringContaining(boss.principal.id) })
  expect(story.far.seen).toHaveLength(seen)
  // Nor is anything opened there, or anybody asked.
  const anew = await handOver(story, boss, await story.task(boss), toDelegate(helper), [pair])
  const opening = { purpose: 'p', delegation: anew.delegation.id, credentials: [request] }
  const opened = openTask(await require([helper]), helper, opening, null)
  expect(await refusalOf(opened)).toMatchObject({ code: 'not_permitted' })
  expect((await story.parts.ledger.findDelegation(anew.delegation.id))?.opened).toBeNull()
  expect((await exchange(await require([helper, boss]), helper, task.id, request, null)).lease.state).toBe('active')
})
