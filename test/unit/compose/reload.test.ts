// A change on disk is taken whole or not at all: folders that are half copied, empty, gone or broken change nothing.
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { findUnreloaded } from '../../../src/compose/needs-restart.js'
import { composeRules } from '../../../src/compose/rules.js'
import { RulesInForce } from '../../../src/compose/rules-in-force.js'
import type { RulesWatch } from '../../../src/compose/watch-rules.js'
import { loadConfig, parseConfig } from '../../../src/config/load.js'
import { systemClock } from '../../../src/core/clock.js'
import { type Story, startStory } from '../../support/story.js'
import { loadStoryRules, storyEnvironment } from '../../support/story-config.js'
import { until } from '../../support/wire-checks.js'

let story: Story
let folder: string
let rules: RulesInForce
let watch: RulesWatch
beforeAll(async () => {
  Object.assign(process.env, storyEnvironment)
  story = await startStory()
})
afterAll(() => story.close())

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hallpass-reload-'))
  const loaded = await loadStoryRules(folder, '')
  rules = new RulesInForce(await composeRules(loaded.settings, loaded.file, systemClock))
  watch = rules.watch(loaded, story.parts, folder)
  // The first look has to have seen what is there.
  await new Promise((resolve) => setTimeout(resolve, 300))
})
afterEach(async () => {
  watch.stop()
  rules.close()
  await rm(folder, { recursive: true, force: true })
})

const at = (...names: string[]) => join(folder, 'policies', ...names)
const hash = () => rules.current.rules.policy.hash
/** At once, as an editor does: a half-written file that stands for two looks would be a change of its own. */
async function put(file: string, content: string | Buffer): Promise<void> {
  await writeFile(join(folder, 'new'), content)
  await rename(join(folder, 'new'), file)
}
const forbid = (id: string) =>
  `@id("${id}")\nforbid (principal == Workload::"ci:${id}", action == Action::"repo.read", resource);\n`
/** Three looks and more. */
const aWhile = () => new Promise((resolve) => setTimeout(resolve, 3500))
const refusals = async () => (await story.records('rules.refused')).length
const loads = async () => await story.records('rules.loaded')

async function expectRefused(before: string) {
  await until(
    () => rules.refused,
    (one) => one !== null,
  )
  expect(hash()).toBe(before)
  expect((await story.parts.metrics.rulesRefused.get()).values[0]?.value).toBe(1)
}

describe('a change on disk', () => {
  test('is taken by itself, and at once on a signal', async () => {
    const before = hash()
    await writeFile(at('more.cedar'), forbid('one'))
    await until(hash, (one) => one !== before)
    const after = hash()
    await writeFile(at('more.cedar'), forbid('two'))
    await watch.reload()
    expect(hash()).not.toBe(after)
    expect(rules.current.rules.earlier.map((one) => one.policy.hash)).toEqual([after, before])
    expect(await story.records('rules.loaded')).toContainEqual(
      expect.objectContaining({ policy_set: hash(), rules: rules.current.rules.hash }),
    )
  })

  test('is taken, too, where it came while the program was still starting', async () => {
    watch.stop()
    const before = hash()
    const loaded = await loadConfig(join(folder, 'hallpass.yaml'), storyEnvironment)
    await writeFile(at('late.cedar'), forbid('late'))
    watch = rules.watch(loaded, story.parts, folder)
    await until(hash, (one) => one !== before)
    // And nothing is loaded anew where nothing changed.
    const said = await until(loads, (records) => records.at(-1)?.policy_set === hash())
    await aWhile()
    expect((await loads()).length).toBe(said.length)
  })

  test('is not taken while files arrive one after the other, each of which would do by itself', async () => {
    const copySlowly = async (attempt: number) => {
      const before = hash()
      const seen = new Set<string>()
      const look = setInterval(() => seen.add(hash()), 20)
      let [last, longestPause] = [performance.now(), 0]
      for (let i = 0; i < 8; i++) {
        await put(at(`part-${attempt}-${i}.cedar`), forbid(`part-${attempt}-${i}`))
        longestPause = Math.max(longestPause, performance.now() - last)
        last = performance.now()
        await new Promise((resolve) => setTimeout(resolve, 400))
      }
      await until(hash, (one) => one !== before)
      await aWhile()
      clearInterval(look)
      return { longestPause, seen: [...seen], expected: [before, hash()] }
    }
    let copied = await copySlowly(0)
    // Where the disk kept a file back for as long as two looks are apart, what was there was rightly taken.
    for (let attempt = 1; attempt < 4 && copied.longestPause > 900; attempt++) copied = await copySlowly(attempt)
    expect(copied.seen).toEqual(copied.expected)
  })

  test.each<[string, () => Promise<void>]>([
    ['an empty folder', async () => await rm(at('main.cedar'))],
    ['a folder that is gone', async () => await rename(at(), join(folder, 'elsewhere'))],
    [
      'a truncated file',
      async () => await put(at('main.cedar'), (await readFile(at('main.cedar'), 'utf8')).slice(0, 200)),
    ],
    ['a file that is not UTF-8', async () => await put(at('main.cedar'), Buffer.from([0xff, 0xfe, 0x00]))],
    ['a configuration that is gone', async () => await rm(join(folder, 'hallpass.yaml'))],
    [
      'a grant of a provider that does not run',
      async () => {
        const file = join(folder, 'hallpass.yaml')
        const text = await readFile(file, 'utf8')
        await put(
          file,
          text
            .replace('copies: { type: jwt }', 'copies: { type: jwt }, new-one: { type: jwt }')
            .replace('resource: repo, provider: copies', 'resource: repo, provider: new-one'),
        )
      },
    ],
    ['an empty configuration', async () => await put(join(folder, 'hallpass.yaml'), '')],
    [
      'a truncated configuration',
      async () => {
        const file = join(folder, 'hallpass.yaml')
        await put(file, (await readFile(file, 'utf8')).slice(0, 400))
      },
    ],
  ])('%s leaves the last good set in force, is said once, and mends itself', async (_, spoil) => {
    const [before, said] = [hash(), await refusals()]
    const copy = await mkdtemp(join(tmpdir(), 'hallpass-good-'))
    await cp(folder, copy, { recursive: true })
    await spoil()
    await expectRefused(before)
    await until(refusals, (count) => count > said)
    await aWhile()
    expect(await refusals()).toBe(said + 1)
    // On a signal it is read again, and refused again.
    await watch.reload()
    expect(hash()).toBe(before)
    await mkdir(dirname(at('x')), { recursive: true })
    await cp(copy, folder, { recursive: true })
    await until(
      () => rules.refused,
      (one) => one === null,
    )
    expect(hash()).toBe(before)
    await rm(copy, { recursive: true, force: true })
  })
})

test('what was changed and takes a restart is told by its section, and nothing else is', async () => {
  const loaded = await loadConfig(join(folder, 'hallpass.yaml'), storyEnvironment)
  const changed = async (from: string, to: string) => {
    const text = loaded.text.replace(from, to)
    if (text === loaded.text) throw new Error(`nothing to replace: ${from}`)
    return findUnreloaded(parseConfig(text, loaded.file, storyEnvironment).settings, loaded.settings)
  }
  expect(findUnreloaded(loaded.settings, loaded.settings)).toEqual([])
  expect(await changed('sensitivity: low', 'sensitivity: high')).toEqual([])
  expect(await changed('copies: { type: jwt }', 'copies: { type: jwt, timeout: 9s }')).toEqual(['providers'])
  expect(await changed('listen: 127.0.0.1:8799', 'listen: 127.0.0.1:8798')).toEqual(['listen'])
})
