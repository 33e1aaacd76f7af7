// When the rules change live leases are decided again: each kind of change, and what of a lease is remembered for it.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { judgePage } from '../../../src/broker/judge-live.js'
import {
  addPolicy,
  change,
  config,
  ended,
  labReads,
  outcomeOf,
  removePolicy,
  stands,
  startChangeStory,
  teamDeploys,
} from '../../support/rule-changes.js'
import type { Story } from '../../support/story.js'
import type { RulesEdit } from '../../support/story-config.js'

let story: Story
beforeAll(async () => {
  story = await startChangeStory()
})
afterAll(() => story.close())

/** A new task's credential for a caller. */
async function buy(name: string | undefined, over = {}, principal = {}) {
  const caller = story.caller(name, principal)
  return (await story.buy(caller, await story.task(caller), over)).lease.id
}

const lab = () => ({ id: 'lab:lena', issuer: 'lab', subject: 'lena', account: 'lab:lena' })
const look = (lease: string) => outcomeOf(story, lease)

/** Makes a change, looks, and takes it back. */
async function during(edit: RulesEdit, back: RulesEdit, work: () => Promise<void>) {
  await change(story, edit)
  try {
    await work()
  } finally {
    await change(story, back)
  }
}

const noWrites = `@id("no-writes")
forbid (principal, action == Action::"repo.write", resource);`

describe('a change of rules', () => {
  test('ends what a new policy forbids, names the policy, and leaves the rest alone', async () => {
    const [written, read] = [await buy(undefined, { action: 'repo.write' }), await buy(undefined)]
    await during(addPolicy(noWrites), removePolicy(noWrites), async () => {
      expect(await look(written)).toEqual(ended('forbidden', ['no-writes']))
      expect(await look(read)).toEqual(stands)
      const dead = await story.finish(written)
      expect(dead).toMatchObject({ state: 'revoked', receipt: { outcome: 'confirmed' } })
      expect((await story.recordsOf(written)).at(-1)).toMatchObject({
        event: 'lease.ended',
        end_reason: 'policy_changed',
      })
      expect((await story.recordsOf(written)).find((one) => one.event === 'lease.redecided')).toMatchObject({
        rules: story.parts.rules().hash,
        decision: { effect: 'deny', policySet: story.parts.rules().policy.hash, input: { action: 'repo.write' } },
      })
    })
  })

  test('ends what only a policy that is gone had permitted', async () => {
    const lease = await buy('gina', { action: 'deploy.run' })
    await during(removePolicy(teamDeploys), addPolicy(teamDeploys), async () => {
      expect(await look(lease)).toEqual(ended('no_permit'))
      await story.finish(lease)
    })
  })

  test('ends what somebody had as a member of a group that he is no longer in', async () => {
    const [stays, goes] = [await buy('gina', { action: 'deploy.run' }), await buy('gus', { action: 'deploy.run' })]
    await during(config('"ci:gina", "ci:gus"', '"ci:gina"'), config('"ci:gina"', '"ci:gina", "ci:gus"'), async () => {
      expect(await look(goes)).toEqual(ended('no_permit'))
      expect(await look(stays)).toEqual(stands)
      await story.finish(goes)
    })
  })

  test('ends what the attributes of its resource now forbid', async () => {
    const lease = await buy(undefined, { action: 'repo.write' })
    await during(config('{ sensitivity: low }', '{ sensitivity: critical }'), config('critical', 'low'), async () => {
      expect(await look(lease)).toEqual(ended('forbidden', ['critical-is-closed']))
    })
  })

  test('ends what is no longer in the catalogue: its grant, or its resource', async () => {
    const [copy, other] = [
      await buy(undefined, { action: 'copy.read' }),
      await buy(undefined, { resource: 'repo:acme/x' }),
    ]
    await during(config('  copy.read:', '  copy.take:'), config('  copy.take:', '  copy.read:'), async () => {
      expect(await look(copy)).toEqual(ended('unknown_action'))
      expect(await look(other)).toEqual(stands)
    })
    await during(config('repo:acme/{name}', 'repo:acme2/{name}'), config('acme2', 'acme'), async () =>
      expect(await look(other)).toEqual(ended('unknown_resource')),
    )
  })

  test('ends what an issuer that is gone had vouched for', async () => {
    const lease = await buy(undefined, {}, lab())
    const line = '  lab: { type: oidc, issuer: "http://127.0.0.1:9/lab", audience: lab }\n'
    await during(
      { ...removePolicy(labReads), ...config(line, '') },
      { ...addPolicy(labReads), ...config('issuers:\n', `issuers:\n${line}`) },
      async () => expect(await look(lease)).toEqual(ended('issuer_removed')),
    )
  })

  test('ends what an issuer now requires otherwise, as far as the record tells, or cannot tell', async () => {
    const [main, dev] = [
      await buy(undefined, {}, { attributes: { ref: 'main' } }),
      await buy(undefined, {}, { attributes: { ref: 'dev' } }),
    ]
    const requires = (of: string) => config('type: string } } }', `type: string } }, require: { ${of} } }`)
    const back = (of: string) => config(`, require: { ${of} } }`, ' }')
    await during(requires('ref: main'), back('ref: main'), async () => {
      expect(await look(dev)).toEqual(ended('issuer_require'))
      expect(await look(main)).toEqual(stands)
    })
    // A claim that is mapped to nothing was never written down: what is new of it cannot be shown to hold.
    await during(requires('team: web'), back('team: web'), async () => {
      expect(await look(main)).toEqual(ended('issuer_require'))
      // What stood there when the lease was bought was verified then.
      const later = await buy(undefined)
      await during(addPolicy(noWrites), removePolicy(noWrites), async () => expect(await look(later)).toEqual(stands))
    })
  })

  test('ends what was declared and is no longer taken', async () => {
    const takes = (values: string) =>
      `provider: fixed, context: { size: { type: string, one_of: [${values}] } }, ttl: { default: 60s, max: 10m }`
    await change(story, config('provider: fixed, ttl: { default: 60s, max: 10m }', takes('s, m')))
    const [small, middle] = [
      await buy(undefined, { action: 'fixed.read', context: { size: 's' } }),
      await buy(undefined, { action: 'fixed.read', context: { size: 'm' } }),
    ]
    await during(config(takes('s, m'), takes('s')), config(takes('s'), takes('s, m')), async () => {
      expect(await look(middle)).toEqual(ended('invalid_context'))
      expect(await look(small)).toEqual(stands)
    })
  })

  test('ends what is bound to no key where one is wanted now, and what is bound stands', async () => {
    const [loose, bound] = [
      await buy(undefined, { action: 'token.read' }),
      await buy(undefined, { action: 'token.read' }, { binding: 'mtls' }),
    ]
    const [plain, strict] = ['  token.read: { ', '  token.read: { require: { binding: any }, ']
    await during(config(plain, strict), config(strict, plain), async () => {
      expect(await look(loose)).toEqual(ended('binding_required', ['ci-may']))
      expect(await look(bound)).toEqual(stands)
    })
  })

  test('ends what has lived for longer than it now may, or needs an approval that it has not', async () => {
    const [old, other] = [await buy(undefined, { action: 'token.read' }), await buy(undefined)]
    await new Promise((resolve) => setTimeout(resolve, 1100))
    const [plain, short] = ['  token.read: { ', '  token.read: { require: { max_ttl: 1s }, ']
    await during(config(plain, short), config(short, plain), async () => {
      expect(await look(old)).toEqual(ended('lifetime', ['ci-may']))
    })
    const [free, asked] = ['  repo.read: { ', '  repo.read: { require: { approval: "deployers:1" }, ']
    await during(config(free, asked), config(asked, free), async () => {
      expect(await look(other)).toEqual(ended('approval_required', ['ci-may']))
    })
  })

  test('knows an escalation for what it was', async () => {
    const caller = story.caller()
    const task = await story.task(caller)
    const first = (await story.buy(caller, task)).lease
    const second = (await story.buy(caller, task, { action: 'repo.write' })).lease
    expect(second.record.follows).toBe(first.id)
    const rule = `@id("no-more")\nforbid (principal, action == Action::"repo.write", resource) when { context.escalation };`
    await during(addPolicy(rule), removePolicy(rule), async () => {
      expect(await look(second.id)).toEqual(ended('forbidden', ['no-more']))
      expect(await look(first.id)).toEqual(stands)
    })
  })

  test('ends what it forbids or no longer permits, though the rules before would not have issued it anew either', async () => {
    const drift = `@id("no-read-beside-write")
forbid (principal, action == Action::"repo.read", resource) when { context.session.holding.contains("repo.write") };`
    const noReads = '@id("no-reads")\nforbid (principal, action == Action::"repo.read", resource);'
    await during(addPolicy(drift), removePolicy(drift), async () => {
      const caller = story.caller()
      const task = await story.task(caller)
      const read = (await story.buy(caller, task)).lease.id
      await story.buy(caller, task, { action: 'repo.write' })
      const other = addPolicy('@id("elsewhere")\nforbid (principal, action == Action::"deploy.run", resource);')
      await during(other, removePolicy(other.policies?.('') ?? ''), async () =>
        expect(await look(read)).toEqual(stands),
      )
      await during(addPolicy(noReads), removePolicy(noReads), async () =>
        expect(await look(read)).toEqual(ended('forbidden', ['no-read-beside-write', 'no-reads'])),
      )
    })
  })

  test('one lease that cannot be judged is refused, and the others are judged all the same', async () => {
    const [copy, read] = [await buy(undefined, { action: 'copy.read' }), await buy(undefined)]
    const leases = await story.parts.ledger.findLeases([copy, read])
    const rules = story.parts.rules()
    const resolveGrant = (action: string) => {
      if (action === 'copy.read') throw new TypeError('what nobody thought of')
      return rules.catalogue.resolveGrant(action)
    }
    const broken = { ...rules, catalogue: { ...rules.catalogue, resolveGrant } }
    const judged = await judgePage(story.parts, broken, leases, { requiredBefore: null, before: null })
    expect(judged).toMatchObject([{ lease: copy, reason: 'policy_error', decided: null }])
    // No consequence of the change where the rules before could not judge it either.
    expect(await judgePage(story.parts, broken, leases, { requiredBefore: null, before: broken })).toEqual([])
  })
})
