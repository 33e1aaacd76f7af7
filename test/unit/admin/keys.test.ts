import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { createKeys, rotateKeyPurposes } from '../../../src/admin/keys.js'
import { createKeyGround, type KeyGround } from '../signing/key-ground.js'

let ground: KeyGround
beforeEach(async () => {
  ground = await createKeyGround()
})
afterEach(() => ground.remove())

function capture() {
  const printed: { value: unknown; text: string }[] = []
  const notes: string[] = []
  const print = (value: unknown, text: string) => void printed.push({ value, text })
  return { printed, notes, print, note: (line: string) => void notes.push(line) }
}

describe('keys create', () => {
  test('makes every purpose’s keys, and says the second time that nothing was to be done', async () => {
    const first = capture()
    expect(await createKeys(ground, first)).toBe(0)
    expect(first.printed[0]?.text.match(/made current and next/g)).toHaveLength(4)
    const second = capture()
    expect(await createKeys(ground, second)).toBe(0)
    expect(second.printed[0]?.text.match(/left as it is/g)).toHaveLength(4)
  })

  test('ends with 1 and says which file it cannot use', async () => {
    await createKeys(ground, capture())
    await chmod(join(ground.directory, 'audit.jwks.json'), 0o644)
    const output = capture()
    expect(await createKeys(ground, output)).toBe(1)
    expect(output.notes.join()).toMatch(/audit.jwks.json: others may read.*chmod 600/)
  })
})

describe('keys rotate', () => {
  test('rotates one purpose or all, and warns of a key that was published only just now', async () => {
    await createKeys(ground, capture())
    const one = capture()
    expect(await rotateKeyPurposes(ground, one, 'grants')).toBe(0)
    expect(one.printed[0]?.value).toMatchObject({ keys: [{ purpose: 'grants', published_for_seconds: 0 }] })
    expect(one.notes.join()).toMatch(/published 0 s ago/)
    ground.now.ms += 3600_000
    const all = capture()
    expect(await rotateKeyPurposes(ground, all)).toBe(0)
    expect(all.printed[0]?.text.split('\n')).toHaveLength(4)
    expect(all.notes).toEqual([])
  })

  test('without keys ends with 1 and says what to do', async () => {
    const output = capture()
    expect(await rotateKeyPurposes(ground, output, 'grants')).toBe(1)
    expect(output.notes.join()).toMatch(/keys create/)
  })
})
