// serve and worker as an operator runs them: they drain when told, and say why when they cannot start.
import { rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { type Stack, type StackOptions, startStack } from '../support/stack.js'

// Each test starts several programs.
jest.setTimeout(300_000)

const bearer = async (stack: Stack) => ({ token: await stack.ciToken() })

describe('serve and worker as separate programs', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack()
  })
  afterAll(() => stack.stop())

  test('a credential is issued by the one and ended by the other, and each writes its own chain', async () => {
    const opened = await stack.call('POST', '/v1/tasks', {
      ...(await bearer(stack)),
      body: { purpose: 'read a report', credentials: [{ action: 'report.read', resource: 'repo:acme/web' }] },
    })
    expect(opened).toMatchObject({ status: 201, body: { credentials: [{ lease: { state: 'active' } }] } })
    const { id } = opened.body.task as { id: string }
    const done = await stack.call('POST', `/v1/tasks/${id}/complete?wait_seconds=30`, {
      token: String(opened.body.task_token),
      body: {},
    })
    expect(done.body).toMatchObject({ receipts: [{ outcome: 'confirmed', evidence: 'probe_dead' }] })
    const events = stack.auditRecords().map(({ chain, event }) => `${chain} ${event}`)
    expect(events).toContain('test-serve lease.issued')
    expect(events).toContain('test-worker lease.ended')
  })

  test('without a worker nothing is issued, and it says so', async () => {
    await stack.programs.worker?.kill()
    // Ten seconds without a sweep.
    await until(async () => {
      const { problems } = (await stack.call('GET', '/readyz')).body as { problems: Record<string, string> }
      return problems.no_worker !== undefined
    })
    const asked = await stack.call('POST', '/v1/tasks', {
      ...(await bearer(stack)),
      body: { purpose: 'no worker', credentials: [{ action: 'report.read', resource: 'repo:acme/web' }] },
    })
    expect(asked).toMatchObject({ status: 503, body: { code: 'no_worker' } })
    expect(asked.headers['retry-after']).toBeDefined()
    await stack.start('worker')
    await stack.untilReady()
  })

  test('SIGTERM lets the request under way finish, takes no new connection, and exits with 0', async () => {
    const token = await stack.ciToken()
    const finish = await beginRequest(stack.url, token)
    const serve = stack.programs.serve
    const ended = serve?.kill('SIGTERM')
    await until(() => serve?.output().includes('draining') === true)
    await until(() => refusesConnections(stack.url))
    const answer = await finish()
    expect(answer).toContain('201 Created')
    expect(answer).toContain('"task_token"')
    expect(await ended).toEqual({ code: 0, signal: null })
    expect(serve?.output()).not.toContain('UnhandledPromiseRejection')
    await stack.start('serve')
    await stack.untilReady()
  })

  test('SIGTERM ends a worker with 0, SIGINT too', async () => {
    expect(await stack.programs.worker?.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    await stack.start('worker')
    expect(await stack.programs.worker?.kill('SIGINT')).toEqual({ code: 0, signal: null })
  })
})

describe('a program that cannot start says why in a line, and exits with 1', () => {
  const cases: { name: string; spoil: (stack: Stack) => void | Promise<void>; says: RegExp; options?: StackOptions }[] =
    [
      {
        name: 'a configuration that is not there',
        spoil: ({ configFile }) => rmSync(configFile),
        says: /hallpass\.yaml:1: cannot be read \(ENOENT\)/,
      },
      {
        name: 'an unknown key, with its line',
        spoil: ({ configFile }) => writeFileSync(configFile, 'issuer: http://127.0.0.1:1\nlisten_on: 127.0.0.1:1\n'),
        says: /hallpass\.yaml:2: .*listen_on/,
      },
      {
        name: 'a policy that is not valid, with its file and line',
        spoil: ({ directory }) =>
          writeFileSync(join(directory, 'policies', 'stack.cedar'), '@id("a")\npermit (principal, action, nowhere);\n'),
        says: /stack\.cedar:2/,
      },
      {
        name: 'signing keys that are missing, with the command that makes them',
        spoil: ({ directory }) => rmSync(join(directory, 'keys'), { recursive: true }),
        says: /hallpass keys create/,
      },
      {
        name: 'a Redis that does not answer',
        spoil: ({ redis }) => redis.stop(),
        says: /see that Redis is running/,
      },
      {
        name: 'a reference to a variable that is not set, with its name',
        options: { settings: (base) => ({ ...base, keys: { ...base.keys, sealing: 'env:NOT_SET_ANYWHERE' } }) },
        spoil: () => {},
        says: /NOT_SET_ANYWHERE/,
      },
    ]

  test.each(cases)('$name', async ({ spoil, says, options }) => {
    const stack = await startStack({ ...options, programs: [] })
    try {
      await spoil(stack)
      for (const name of ['serve', 'worker'] as const) {
        const program = stack.spawn(name)
        expect(await program.untilEnded()).toEqual({ code: 1, signal: null })
        expect(program.output()).toMatch(says)
        expect(program.output()).toContain(`hallpass ${name}: `)
        // A stack trace helps nobody here.
        expect(program.output()).not.toMatch(/\n\s+at /)
      }
    } finally {
      await stack.stop()
    }
  })

  test('an address that is taken, and an audit chain that another program writes', async () => {
    const stack = await startStack({
      settings: (base) => ({ ...base, audit: { ...base.audit, instance: 'env:INSTANCE' } }),
      env: { INSTANCE: 'one' },
    })
    try {
      const sameChain = stack.spawn('serve')
      expect((await sameChain.untilEnded()).code).toBe(1)
      expect(sameChain.output()).toMatch(/another program writes this audit chain .*give each broker instance its own/)
      const sameAddress = stack.spawn('serve', { INSTANCE: 'two' })
      expect((await sameAddress.untilEnded()).code).toBe(1)
      expect(sameAddress.output()).toMatch(/hallpass serve: .*address already in use 127\.0\.0\.1:[0-9]+/)
    } finally {
      await stack.stop()
    }
  })
})

/** Sends all of a request but its body's last byte, once it is under way; the returned function sends that and gives the whole answer. */
async function beginRequest(url: string, token: string): Promise<() => Promise<string>> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  let answer = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text
  })
  const closed = new Promise<void>((resolve, reject) => socket.once('close', resolve).once('error', reject))
  const body = '{"purpose":"under way"}'
  const head = ['POST /v1/tasks HTTP/1.1', `Host: ${hostname}:${port}`, `Authorization: Bearer ${token}`]
  const more = [
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'Connection: close',
    'Expect: 100-continue',
  ]
  socket.write(`${[...head, ...more].join('\r\n')}\r\n\r\n`)
  // A connection that it has not taken yet would be refused by its draining: what it answers to the headers shows that it has.
  await until(() => answer.includes('100 Continue'))
  socket.write(body.slice(0, -1))
  return async () => {
    socket.write(body.slice(-1))
    await closed
    return answer
  }
}

const refusesConnections = (url: string) =>
  new Promise<boolean>((resolve) => {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port) })
    socket.once('connect', () => resolve(false)).once('error', () => resolve(true))
    socket.once('connect', () => socket.destroy())
  })

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000
  while (!(await holds())) {
    if (performance.now() > end) throw new Error('it did not come to pass within 60 s')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
