// A broker whose ledger lost its memory, as an operator's commands show it.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { runHallpass } from '../../support/command-line.js'

let server: Server
let problems: Record<string, string> | null = {}
beforeEach(async () => {
  server = createServer((request, response) => {
    const say = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    }
    if (request.url === '/readyz') return problems === null ? say(404, {}) : say(503, { ready: false, problems })
    if (request.url?.startsWith('/v1/leases')) return say(200, { leases: [], next_cursor: null })
    return say(202, { id: 'rev_01hzy3v5q8k2m4n6p8r0s2t4v6', matched: 0 })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(() => new Promise((resolve) => server.close(resolve)))

const run = (...argv: string[]) =>
  runHallpass(argv, {
    environment: {
      HALLPASS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      HALLPASS_TOKEN: 'a.b.c',
    },
    stdin: 'leaked',
  })

describe('with a ledger that lost its memory', () => {
  test.each([
    [['lease', 'list']],
    [['lease', 'list', '--output', 'json']],
    [['lease', 'find', '-']],
    [['revoke', 'all', '--reason', 'x']],
  ])('%j does not let nothing found pass for nothing there', async (argv) => {
    problems = { rolled_back: 'the ledger is not the one that b wrote to; run hallpass recover' }
    const ran = await run(...argv)
    expect(ran.exitCode).toBe(0)
    expect(ran.stderr).toContain(
      'this is NOT all that was issued: the ledger is not the one that b wrote to; run hallpass recover',
    )
    expect(ran.stdout).not.toContain('NOT all')
  })

  test('an order says that it will reach what comes back', async () => {
    problems = { rolled_back: 'run hallpass recover' }
    expect((await run('revoke', 'all', '--reason', 'x')).stderr).toContain('will reach what recovery brings back')
  })

  test.each([[{}], [{ no_worker: 'none' }], [null]])('readiness %j adds nothing', async (other) => {
    problems = other as Record<string, string> | null
    expect((await run('lease', 'list')).stderr).toBe('')
  })
})
