import { execFileSync } from 'node:child_process'
import { chmod, readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { calculateJwkThumbprint } from 'jose'
import { type KeyEntry, readKeyFile } from '../../../src/signing/key-file.js'
import { createMissingKeys, rotateKeys } from '../../../src/signing/key-rotation.js'
import { createKeyGround, type KeyGround } from './key-ground.js'

let ground: KeyGround
beforeEach(async () => {
  ground = await createKeyGround()
})
afterEach(() => ground.remove())

const fileOf = (purpose: string) => join(ground.directory, `${purpose}.jwks.json`)
const keysOf = async (purpose: string) => (await readKeyFile(fileOf(purpose))).keys
const withStatus = (keys: KeyEntry[], status: string) => keys.filter((key) => key.status === status)

describe('making keys', () => {
  test('makes a current and a next key for each purpose, for the owner alone', async () => {
    const made = await createMissingKeys(ground.directory, ground.clock)
    expect(made.map(({ purpose, created }) => [purpose, created])).toEqual(
      ['grants', 'federation', 'internal', 'audit'].map((purpose) => [purpose, ['current', 'next']]),
    )
    expect((await readdir(ground.directory)).sort()).toEqual(
      ['audit', 'federation', 'grants', 'internal'].map((purpose) => `${purpose}.jwks.json`),
    )
    for (const { path } of made) expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(ground.directory)).mode & 0o777).toBe(0o700)
    for (const key of await keysOf('grants')) {
      expect(key).toMatchObject({
        kty: 'EC',
        crv: 'P-256',
        alg: 'ES256',
        use: 'sig',
        created_at: '2026-01-01T00:00:00.000Z',
      })
      expect(key.kid).toBe(await calculateJwkThumbprint(key as { kty: string }, 'sha256'))
    }
  })

  test('leaves keys that are there, and makes what is missing among them', async () => {
    await createMissingKeys(ground.directory, ground.clock)
    const before = await readFile(fileOf('grants'), 'utf8')
    await unlink(fileOf('audit'))
    const [current] = await keysOf('internal')
    await writeFile(fileOf('internal'), JSON.stringify({ keys: [current] }))
    const made = await createMissingKeys(ground.directory, ground.clock)
    expect(made.map(({ created }) => created)).toEqual([[], [], ['next'], ['current', 'next']])
    expect(await readFile(fileOf('grants'), 'utf8')).toBe(before)
    expect(withStatus(await keysOf('internal'), 'current')).toEqual([current])
  })

  test('by several at once leaves one whole set', async () => {
    await Promise.all(Array.from({ length: 6 }, () => createMissingKeys(ground.directory, ground.clock)))
    expect((await keysOf('grants')).map(({ status }) => status)).toEqual(['current', 'next'])
    expect((await readdir(ground.directory)).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })
})

describe('rotating', () => {
  test('signs with what was next, keeps what was current to verify without its private part, and makes a new next', async () => {
    await createMissingKeys(ground.directory, ground.clock)
    const [current, next] = (await keysOf('grants')) as [KeyEntry, KeyEntry]
    ground.now.ms += 7200_000
    const rotated = await rotateKeys(ground.directory, 'grants', ground.clock)
    expect(rotated).toMatchObject({ current: next.kid, retired: current.kid, dropped: [], publishedForSeconds: 7200 })
    const keys = await keysOf('grants')
    expect(withStatus(keys, 'current')).toEqual([{ ...next, status: 'current' }])
    const [retired] = withStatus(keys, 'retired')
    expect(retired).toMatchObject({ kid: current.kid, retired_at: '2026-01-01T02:00:00.000Z' })
    expect(retired).not.toHaveProperty('d')
    const fresh = withStatus(keys, 'next')
    expect(fresh.map(({ kid }) => kid)).toEqual([rotated.next])
    expect([current.kid, next.kid]).not.toContain(rotated.next)
    expect((await stat(fileOf('grants'))).mode & 0o777).toBe(0o600)
  })

  test('drops what was retired thirty days ago, but never an audit key', async () => {
    await createMissingKeys(ground.directory, ground.clock)
    for (const purpose of ['grants', 'audit'] as const) {
      const first = await rotateKeys(ground.directory, purpose, ground.clock)
      ground.now.ms += 29 * 86_400_000
      expect((await rotateKeys(ground.directory, purpose, ground.clock)).dropped).toEqual([])
      ground.now.ms += 2 * 86_400_000
      const third = await rotateKeys(ground.directory, purpose, ground.clock)
      expect(third.dropped).toEqual(purpose === 'audit' ? [] : [first.retired])
    }
  })

  test('without keys says what to do', async () => {
    await expect(rotateKeys(ground.directory, 'grants', ground.clock)).rejects.toThrow(
      /is missing: `hallpass keys create`/,
    )
  })
})

describe('a key file', () => {
  test.each([0o640, 0o604, 0o660])('that others may read (mode %o) is refused', async (mode) => {
    await createMissingKeys(ground.directory, ground.clock)
    await chmod(fileOf('grants'), mode)
    await expect(keysOf('grants')).rejects.toThrow(new RegExp(`mode ${mode.toString(8)}.*chmod 600`))
  })

  test.each<[string, (keys: KeyEntry[]) => unknown]>([
    ['is not JSON', () => undefined],
    ['has no private part where one is needed', (keys) => ({ keys: keys.map(({ d, ...rest }) => rest) })],
    ['has two current keys', (keys) => ({ keys: keys.map((key) => ({ ...key, status: 'current' })) })],
    ['is not what its kid says', ([a, b]) => ({ keys: [{ ...a, kid: b?.kid }, b] })],
    ['holds what is not ours', (keys) => ({ keys, other: 1 })],
  ])('that %s is refused without quoting it', async (_what, change) => {
    await createMissingKeys(ground.directory, ground.clock)
    const keys = await keysOf('grants')
    await writeFile(fileOf('grants'), JSON.stringify(change(keys)) ?? '{"keys": [')
    const error = await keysOf('grants').catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ name: 'KeyFileError' })
    for (const { d } of keys) expect(String(error)).not.toContain(d)
  })

  test('is never seen half-written by a reader beside many rotations', async () => {
    await createMissingKeys(ground.directory, ground.clock)
    let rotating = true
    const rotations = (async () => {
      for (let n = 0; n < 20; n++) await rotateKeys(ground.directory, 'grants', ground.clock)
      rotating = false
    })()
    let reads = 0
    for (; rotating; reads++) expect(withStatus(await keysOf('grants'), 'current')).toHaveLength(1)
    await rotations
    expect(reads).toBeGreaterThan(5)
    expect(execFileSync('ls', [ground.directory], { encoding: 'utf8' })).not.toMatch(/tmp/)
  })
})
