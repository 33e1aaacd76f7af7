// The folder as somebody may leave it: whatever is in it, it is read, or refused whole, in bounded time and memory.
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { readPolicyFiles } from '../../../src/policy/policy-files.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hallpass-policies-'))
  await writeFile(join(folder, 'main.cedar'), 'permit (principal, action, resource);')
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

describe('a policy folder', () => {
  test('is read through links, with its sub-folders, as mounted configuration is made', async () => {
    await mkdir(join(folder, '..data', 'team'), { recursive: true })
    await writeFile(join(folder, '..data', 'team', 'a.cedar'), 'a')
    await symlink(join('..data', 'team'), join(folder, 'team'))
    await symlink(join('..data', 'team', 'a.cedar'), join(folder, 'z.cedar'))
    expect(Object.keys(await readPolicyFiles(folder))).toEqual(['main.cedar', 'team/a.cedar', 'z.cedar'])
  })

  // A million ways through twenty folders: not read to its end in minutes, and then no later change either.
  test('with more ways through its links than folders is refused', async () => {
    for (let i = 0; i < 20; i++) {
      await mkdir(join(folder, `.d${i}`))
      for (const name of ['a', 'b']) await symlink(join('..', `.d${i + 1}`), join(folder, `.d${i}`, name))
    }
    await mkdir(join(folder, '.d20'))
    await symlink('.d0', join(folder, 'first'))
    await expect(readPolicyFiles(folder)).rejects.toThrow(/more than 10000 folders/)
  })

  test.each([
    ['a pipe', (path: string) => void execFileSync('mkfifo', [path])],
    ['a device', (path: string) => symlink('/dev/zero', path)],
  ])('with %s in it is refused', async (_what, make) => {
    await make(join(folder, 'x.cedar'))
    await expect(readPolicyFiles(folder)).rejects.toThrow(/x\.cedar is no regular file/)
  })

  test('with a file in it that is not UTF-8 is refused by the name of that file', async () => {
    await writeFile(join(folder, 'x.cedar'), Buffer.from([0xff, 0xfe, 0x70]))
    await expect(readPolicyFiles(folder)).rejects.toThrow(/x\.cedar is not UTF-8/)
  })

  test('that is larger than any policies are is refused before it is read', async () => {
    await writeFile(join(folder, 'x.cedar'), '')
    await truncate(join(folder, 'x.cedar'), 3 * 2 ** 30)
    await expect(readPolicyFiles(folder)).rejects.toThrow(/more than 64 MiB/)
  })
})
