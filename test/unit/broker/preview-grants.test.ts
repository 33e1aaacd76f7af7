// Planning is for everybody who may open a task: what a grant takes must not decide what it costs.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { previewGrants } from '../../../src/broker/preview-grants.js'
import { type Story, startStory } from '../../support/story.js'

let story: Story
beforeAll(async () => {
  story = await startStory()
})
afterAll(async () => {
  await story.close()
})

// Ten fields of ten values each: ten thousand million requests that could be made.
test('a grant with many listed values is planned without making every request that it takes', async () => {
  const values = Array.from({ length: 10 }, (_, i) => `v${i}`).join(', ')
  const field = (_: unknown, i: number) => `f${i}: { type: string, one_of: [${values}] }`
  const wide = `  wide.read: { access: read, resource: repo, provider: tokens, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://api.test", verified_by: introspection }, context: { ${Array.from({ length: 10 }, field).join(', ')} } }`
  await story.broker.changeRules({ config: (text) => text.replace('\ngrants:', `\ngrants:\n${wide}`) })
  const { catalogue } = story.parts.rules()
  const resource = catalogue.findResource('repo:acme/web')
  const grant = catalogue.resolveGrant('wide.read')
  if (resource === undefined) throw new Error('no such resource')
  expect(await previewGrants(story.parts, story.caller(), [grant], resource)).toEqual(['yes'])
})
