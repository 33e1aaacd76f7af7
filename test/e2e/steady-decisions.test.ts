import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from '@jest/globals'

const dist = process.env.HALLPASS_DIST ?? join(process.cwd(), 'dist')
const decisions = pathToFileURL(join(dist, 'scripts', 'bench', 'decisions.js')).href

describe('steady decisions', () => {
  // Without what src/policy/cedar.ts does, Node 20 ends this process with a fatal error of V8's within three seconds.
  test('do not end the process once they are optimised', () => {
    const program = `const { measureDecisions } = await import(${JSON.stringify(decisions)}); await measureDecisions(100, 10)`
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      timeout: 110_000,
    })
    expect(child.stderr).toBe('')
    expect({ status: child.status, signal: child.signal }).toEqual({ status: 0, signal: null })
  })
})
