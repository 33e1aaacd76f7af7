// What `hallpass dev` lays beside its configuration is tested as an operator would: by its own cases, all policies covered.
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { runHallpass } from '../../support/command-line.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hallpass-dev-policies-'))
  await cp('config/dev', folder, { recursive: true })
  await writeFile(join(folder, 'redis.url'), 'redis://127.0.0.1:6379')
  await writeFile(join(folder, 'sealing.key'), Buffer.alloc(32, 1).toString('base64'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test('every case holds and every policy is determined by one', async () => {
  const config = join(folder, 'hallpass.yaml')
  const tested = await runHallpass(['policy', 'test', '--coverage-min', '100', '--config', config])
  expect(tested).toMatchObject({ exitCode: 0, stderr: '' })
  expect(tested.stdout).toMatch(/approval_required +production-deploys-are-approved +ok/)
})
