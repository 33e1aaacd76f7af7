import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { makeFolder } from '../../../src/core/make-folder.js'

let ground = ''
beforeAll(async () => {
  ground = await mkdtemp(join(tmpdir(), 'hallpass-folder-'))
})
afterAll(() => rm(ground, { recursive: true, force: true }))

describe('a folder of ours', () => {
  test('is made with all above it, for its owner alone', async () => {
    await makeFolder(join(ground, 'a', 'b', 'c'))
    for (const made of ['a', 'a/b', 'a/b/c']) expect((await stat(join(ground, made))).mode & 0o777).toBe(0o700)
  })

  test('is left as it is where it is there, also when several make it at once', async () => {
    const path = join(ground, 'd', 'e', 'f')
    await Promise.all(Array.from({ length: 16 }, () => makeFolder(path)))
    await writeFile(join(path, 'kept'), '')
    await makeFolder(path)
    expect(await readdir(path)).toEqual(['kept'])
  })

  test('a file in its place, or in that of one above it, is an error', async () => {
    const file = join(ground, 'file')
    await writeFile(file, '')
    await expect(makeFolder(file)).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(makeFolder(join(file, 'below', 'it'))).rejects.toMatchObject({ code: 'ENOTDIR' })
  })

  // Node's own `recursive` never ends there.
  test.each(['/proc/hallpass', '/proc/hallpass/below'])(
    'where nothing can be made it is an error: %s',
    async (path) => {
      await expect(makeFolder(path)).rejects.toThrow(/\/proc/)
    },
  )
})
