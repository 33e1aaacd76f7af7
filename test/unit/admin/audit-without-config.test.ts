// What was looked at and found wanting is 1: a script that reads it must not be told so of what was never looked at.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { runHallpass } from '../../support/command-line.js'

const folder = mkdtempSync(join(tmpdir(), 'hallpass-no-config-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const broken = join(folder, 'broken.yaml')
writeFileSync(broken, 'issuer: 1\n')

describe.each(['verify', 'replay'])('audit %s', (command) => {
  test.each([
    ['that is not there', join(folder, 'none.yaml')],
    ['that does not load', broken],
  ])('with a configuration %s looked at nothing: 2, no verdict', async (_, config) => {
    const ran = await runHallpass(['audit', command, '--config', config])
    expect(ran).toMatchObject({ exitCode: 2, stdout: '' })
    expect(ran.stderr).toContain(config)
  })
})
