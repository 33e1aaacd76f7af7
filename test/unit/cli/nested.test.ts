// Tasks below tasks on the command line: `task delegate`, `task open --delegation`, and `exec` within `exec`.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { credentials } from '../../support/answers.js'
import { runHallpass } from '../../support/command-line.js'
import { startWireServer, type WireServer } from '../../support/wire-server.js'
import { workloadToken } from '../../support/wire-state.js'

let wire: WireServer
beforeEach(async () => {
  wire = await startWireServer()
  wire.offers.set('database.query', { credential: credentials.secret })
})
afterEach(() => wire.close())

const query = ['--action', 'database.query', '--resource', 'database:orders']
const pair = { action: 'database.query', resource: 'database:orders' }
const as = (environment: Record<string, string>, ...argv: string[]) =>
  runHallpass(argv, { environment: { HALLPASS_URL: wire.url, PATH: process.env.PATH ?? '', ...environment } })
const asWorkload = (...argv: string[]) => as({ HALLPASS_TOKEN: workloadToken }, ...argv)
const openedIds = () => [...wire.tasks.keys()]
const node = [process.execPath, '-e', '']

async function openTask(): Promise<string> {
  await asWorkload('task', 'open', '--purpose', 'p')
  return openedIds().at(-1) ?? ''
}

describe('hallpass task delegate', () => {
  test('to somebody by its id: prints the delegation, which task open takes', async () => {
    const parent = await openTask()
    const to = ['--to', 'ci:repo:acme/web:ref:x', '--instance', 'run-9', '--allow', 'database.query=database:orders']
    const ran = await asWorkload('task', 'delegate', parent, ...to)
    expect(wire.seen.at(-1)).toMatchObject({
      path: `/v1/tasks/${parent}/delegations`,
      body: {
        delegate: { issuer: 'ci', subject: 'repo:acme/web:ref:x', instance: 'run-9' },
        ceiling: [pair],
        ttl_seconds: 600,
      },
    })
    expect(ran.stdout).toMatch(/^dlg_[0-9a-z]{26}\n$/)
    await asWorkload('task', 'open', '--purpose', 'p', '--delegation', ran.stdout.trim())
    expect(wire.seen.at(-1)?.body).toEqual({ purpose: 'p', delegation: ran.stdout.trim() })
  })

  test('to a sub-agent: prints its token as a line of an environment file', async () => {
    const parent = await openTask()
    const argv = ['--agent', 'reviewer', '--allow', 'database.query=database:orders', '--ttl', '5m']
    const ran = await as({ HALLPASS_TOKEN: workloadToken, HALLPASS_TASK: parent }, 'task', 'delegate', ...argv)
    expect(ran.stdout).toBe('HALLPASS_DELEGATION_TOKEN=for.reviewer\n')
    expect(wire.seen.at(-1)?.body).toEqual({ agent: 'reviewer', ceiling: [pair], ttl_seconds: 300 })
  })

  test.each([
    [['--allow', 'a.b=c:d'], 'to whom?'],
    [['--to', 'ci:x', '--agent', 'y', '--allow', 'a.b=c:d'], 'to whom?'],
    [['--agent', 'y'], 'what may it do?'],
    [['--agent', 'y', '--allow', 'a.b'], '--allow'],
    [['--agent', 'y', '--instance', '1', '--allow', 'a.b=c:d'], '--instance goes with --to'],
    [['--to', 'nobody', '--allow', 'a.b=c:d'], '--to: expected ISSUER:SUBJECT'],
  ])('%j is a usage error', async (argv, says) => {
    const ran = await asWorkload('task', 'delegate', 'task_x', ...argv)
    expect(ran).toMatchObject({ exitCode: 2, stdout: '' })
    expect(ran.stderr).toContain(says)
    expect(wire.seen).toEqual([])
  })
})

describe('exec within a task', () => {
  test('with an identity opens a child of it, by a delegation to itself of exactly what is wanted', async () => {
    const outer = await openTask()
    const inside = { HALLPASS_TOKEN: workloadToken, HALLPASS_TASK: outer, HALLPASS_TASK_TOKEN: `token-of.${outer}` }
    expect(await as(inside, 'exec', ...query, '--', ...node)).toMatchObject({ exitCode: 0, stderr: '' })
    const asked = wire.seen.find(({ path }) => path.endsWith('/delegations'))
    expect(asked).toMatchObject({
      headers: { 'hallpass-task-token': `token-of.${outer}` },
      body: { delegate: { issuer: 'ci', subject: 'agent', instance: 'run-1' }, ceiling: [pair] },
    })
    const child = wire.tasks.get(openedIds().at(-1) ?? '')
    expect(child).toMatchObject({ parent: expect.stringMatching(/^of\.dlg_/), state: 'ended' })
    expect(wire.tasks.get(outer)?.state).toBe('open')
  })

  test('with a delegation token opens the one task that it is for, and keeps the token to itself', async () => {
    const environment = { HALLPASS_DELEGATION_TOKEN: 'for.reviewer', HALLPASS_TASK: 'task_outer' }
    const tell = [process.execPath, '-e', 'process.exit(process.env.HALLPASS_DELEGATION_TOKEN === undefined ? 0 : 9)']
    expect((await as(environment, 'exec', ...query, '--', ...tell)).exitCode).toBe(0)
    expect(wire.seen.map(({ path }) => path)).toEqual(['/v1/tasks', `/v1/tasks/${openedIds()[0]}/complete`])
    expect(wire.seen[0]?.headers.authorization).toBe('Bearer for.reviewer')
  })

  test('with neither says what to set', async () => {
    const ran = await as({ HALLPASS_TASK: 'task_outer' }, 'exec', ...query, '--', ...node)
    expect(ran.exitCode).toBe(125)
    expect(ran.stderr).toMatch(/--keep-identity[\s\S]*HALLPASS_DELEGATION_TOKEN[\s\S]*--task task_outer/)
    expect(wire.seen).toEqual([])
  })

  test('a delegation token is bound to no key', async () => {
    const ran = await as({ HALLPASS_DELEGATION_TOKEN: 'x' }, 'exec', '--dpop', ...query, '--', ...node)
    expect(ran).toMatchObject({ exitCode: 125, stderr: expect.stringContaining('without DPoP') })
  })
})
