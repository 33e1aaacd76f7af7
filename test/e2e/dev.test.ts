// `hallpass dev` beside another one.
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { devDirectory } from '../../src/dev/built-in.js'
import { hallpassProgram } from '../support/stack.js'

let state = ''
let holder: Server
beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), 'hallpass-dev-'))
  holder = createServer()
  // Whoever else has the port holds it just as well.
  await new Promise<void>((resolve) => holder.once('error', () => resolve()).listen(8701, '127.0.0.1', resolve))
})
afterAll(async () => {
  await new Promise((resolve) => holder.close(resolve))
  await rm(state, { recursive: true, force: true })
})

describe('hallpass dev', () => {
  test('a second one says so before it touches what the first one uses', async () => {
    const ended = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
      const environment = { ...process.env, XDG_STATE_HOME: state }
      execFile(process.execPath, [hallpassProgram, 'dev'], { env: environment, timeout: 60_000 }, (error, _, stderr) =>
        resolve({ code: error?.code, stderr }),
      )
    })
    expect(ended.code).toBe(1)
    expect(ended.stderr).toMatch(/^hallpass dev: 127\.0\.0\.1:8701 is taken: another hallpass dev runs already/)
    // Two servers on one append-only file spoil it, and `redis.url` would name one that is gone.
    expect(await readdir(join(state, 'hallpass-dev'))).toEqual(['issuer.pem'])
  }, 90_000)

  test('its folder is an absolute path, whatever XDG_STATE_HOME says', () => {
    expect(devDirectory({ XDG_STATE_HOME: '/somewhere' })).toBe('/somewhere/hallpass-dev')
    for (const state of ['', 'relative']) expect(devDirectory({ XDG_STATE_HOME: state })).toMatch(/^\/.*hallpass-dev$/)
  })
})
