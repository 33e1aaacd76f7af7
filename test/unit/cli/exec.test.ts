import { EventEmitter } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { credentials } from '../../support/answers.js'
import { runHallpass } from '../../support/command-line.js'
import { startWireServer, type WireServer } from '../../support/wire-server.js'
import { workloadToken } from '../../support/wire-state.js'

let wire: WireServer
let folder: string
let told: string
const query = ['--action', 'database.query', '--resource', 'database:orders']

beforeEach(async () => {
  wire = await startWireServer()
  wire.offers.set('database.query', { credential: credentials.secret })
  wire.offers.set('deploy.run', { credential: credentials.jwt })
  folder = mkdtempSync(join(tmpdir(), 'hallpass-exec-'))
  told = join(folder, 'told.json')
})
afterEach(async () => {
  await wire.close()
  rmSync(folder, { recursive: true })
})

interface Around {
  environment?: Record<string, string>
  signals?: EventEmitter
  onTerminal?: boolean
}
const exec = (options: string[], command: string[], { environment, ...around }: Around = {}) =>
  runHallpass(['exec', ...options, '--', ...command], {
    environment: {
      HALLPASS_URL: wire.url,
      HALLPASS_TOKEN: workloadToken,
      PATH: process.env.PATH ?? '',
      ...environment,
    },
    ...around,
  })

/** A real process that runs `first`, writes what it was given to `told`, then runs `more`. */
function teller(more = '', first = ''): string[] {
  const script = join(folder, 'teller.cjs')
  const tell = `require('node:fs').writeFileSync(${JSON.stringify(told)}, JSON.stringify({ env: process.env, argv: process.argv }));`
  writeFileSync(script, `${first}${tell}${more}`)
  return [process.execPath, script, '--its=own']
}
const readTold = () => JSON.parse(readFileSync(told, 'utf8')) as { env: Record<string, string>; argv: string[] }
const completions = () => wire.seen.filter(({ path }) => path.endsWith('/complete'))

describe('hallpass exec', () => {
  test('opens one task, gives the credential in the environment, completes and passes on the exit code', async () => {
    const ran = await exec([...query, '--ttl', '5m', '--purpose', 'why not'], teller('process.exit(0)'))
    expect(ran).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    const { env, argv } = readTold()
    expect(env).toMatchObject({ DATABASE_USERNAME: 'v-reader', DATABASE_PASSWORD: "it's $(id)" })
    const [taskId] = wire.tasks.keys()
    expect(env).toMatchObject({
      HALLPASS_TASK: taskId,
      HALLPASS_TASK_TOKEN: `token-of.${taskId}`,
      HALLPASS_URL: wire.url,
    })
    expect(env.HALLPASS_TOKEN).toBeUndefined()
    expect(argv.slice(2)).toEqual(['--its=own'])
    expect(argv.join(' ')).not.toMatch(/v-reader|token-of|subject/)
    expect(wire.seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /v1/tasks',
      `POST /v1/tasks/${taskId}/complete`,
    ])
    expect(wire.seen[0]?.body).toEqual({
      purpose: 'why not',
      credentials: [{ action: 'database.query', resource: 'database:orders', ttl_seconds: 300, context: {} }],
    })
    expect(completions()[0]).toMatchObject({ body: { outcome: 'succeeded' }, query: { wait_seconds: '10' } })
  })

  test('several credentials come in the one call; the purpose names the command and none of its arguments', async () => {
    await exec([...query, '--credential', 'ship:deploy.run=repo:acme/web', '--env', 'T=ship.token'], teller())
    expect(wire.seen[0]?.body).toMatchObject({
      purpose: 'hallpass exec node',
      credentials: [{ action: 'database.query' }, { action: 'deploy.run', resource: 'repo:acme/web' }],
    })
    expect(readTold().env).toMatchObject({ SHIP_HALLPASS_CREDENTIAL: 'minted.jwt.token', T: 'minted.jwt.token' })
  })

  test('a command that fails is completed as failed, and its code is ours', async () => {
    expect((await exec(query, teller('process.exit(7)'))).exitCode).toBe(7)
    expect(completions()[0]?.body).toEqual({ outcome: 'failed' })
  })

  test('a command that is killed is completed as cancelled, with the code that a shell gives', async () => {
    expect((await exec(query, teller("process.kill(process.pid, 'SIGKILL')"))).exitCode).toBe(137)
    expect(completions()[0]?.body).toEqual({ outcome: 'cancelled' })
  })

  test('a command that cannot be started is 125, and the task is completed', async () => {
    const ran = await exec(query, [join(folder, 'no-such-program')])
    expect(ran.exitCode).toBe(125)
    expect(ran.stderr).toContain('no-such-program could not be started (ENOENT)')
    expect(completions()[0]?.body).toEqual({ outcome: 'failed' })
  })

  test('--keep-identity leaves our own token with the command', async () => {
    await exec([...query, '--keep-identity'], teller())
    expect(readTold().env.HALLPASS_TOKEN).toBe(workloadToken)
  })

  test('a long ttl is given to the task too', async () => {
    await exec([...query, '--ttl', '2h'], teller())
    expect(wire.seen[0]?.body).toMatchObject({ ttl_seconds: 7200 })
  })
})

describe('signals', () => {
  // Whoever has told of itself has its handlers: they come first.
  const patient = "process.on('SIGTERM',()=>process.exit(3));process.on('SIGINT',()=>{});"
  const stay = 'setTimeout(()=>process.exit(9),60000)'
  async function whenTold() {
    while (!existsSync(told) || readFileSync(told).length === 0) await sleep(20)
  }

  test('are passed on; the task is completed as cancelled', async () => {
    const signals = new EventEmitter()
    const running = exec(query, teller(stay, patient), { signals })
    await whenTold()
    signals.emit('SIGTERM')
    expect((await running).exitCode).toBe(3)
    expect(completions()[0]?.body).toEqual({ outcome: 'cancelled' })
    expect(signals.eventNames()).toEqual([])
  })

  test('two ^C do not keep us from completing, and a terminal has passed them on itself', async () => {
    const signals = new EventEmitter()
    const fragile = "process.on('SIGTERM',()=>process.exit(3));"
    const running = exec(query, teller(stay, fragile), { signals, onTerminal: true })
    await whenTold()
    signals.emit('SIGINT')
    signals.emit('SIGINT')
    await sleep(100)
    signals.emit('SIGTERM')
    // 3 and not 130: had the ^C come from us too, it would have ended the command.
    expect((await running).exitCode).toBe(3)
    expect(completions()).toHaveLength(1)
  })

  test('one that comes before the command was started keeps it from starting', async () => {
    const signals = new EventEmitter()
    signals.on('newListener', (name) => {
      if (name === 'SIGINT') setImmediate(() => signals.emit('SIGINT'))
    })
    expect((await exec(query, teller(), { signals })).exitCode).toBe(130)
    expect(existsSync(told)).toBe(false)
    expect(completions()[0]?.body).toEqual({ outcome: 'cancelled' })
  })
})

describe('what was not confirmed', () => {
  const offer = (more: object) => wire.offers.set('database.query', { credential: credentials.secret, ...more })

  test.each(['expires_at', 'pending', 'not_revocable'] as const)(
    '%s is said, and failed only on demand',
    async (outcome) => {
      offer({ outcome })
      const ran = await exec([...query, '--settle', '0s'], teller())
      expect(ran.exitCode).toBe(0)
      expect(ran.stderr).toMatch(new RegExp(`lease_\\w+ \\(database.query on database:orders\\): ${outcome}: `))
      const strict = await exec([...query, '--settle', '0s', '--require-revoked'], teller())
      expect(strict.exitCode).toBe(125)
      expect(strict.stderr).toContain('--require-revoked')
    },
  )

  test('a revocation that failed is 125 whatever the command said', async () => {
    offer({ outcome: 'failed' })
    const ran = await exec(query, teller('process.exit(4)'))
    expect(ran.exitCode).toBe(125)
    expect(ran.stderr).toMatch(/failed: the broker could not end it[\s\S]*the command itself ended with 4/)
  })

  test('a pending receipt and an outage are waited through for as long as --settle says', async () => {
    offer({ pendingAnswers: 2 })
    wire.faults.push({ method: 'POST', path: '/v1/tasks/', answer: 'drop' })
    expect(await exec([...query, '--settle', '60s'], teller())).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(completions()).toHaveLength(4)
  })

  test('a broker that stays away is 125, and it says when the credentials end', async () => {
    for (let i = 0; i < 9; i++) wire.faults.push({ method: 'POST', path: '/v1/tasks/', answer: 'drop' })
    const ran = await exec([...query, '--settle', '1s'], teller())
    expect(ran.exitCode).toBe(125)
    expect(ran.stderr).toMatch(/could not be completed: unavailable: [\s\S]*end by themselves, the last at 2031-/)
  })
})

describe('what stops exec before the command', () => {
  test.each([
    ['a denial', () => wire.refused.set('database.query', 'denied'), [], {}, 125, 'denied: no policy permits'],
    [
      'an approval that is wanted',
      () => wire.refused.set('database.query', 'approval_required'),
      [],
      {},
      125,
      'approval_required',
    ],
    ['no identity', () => {}, [], { HALLPASS_TOKEN: '' }, 125, 'no_subject_token'],
    ['no broker', () => {}, [], { HALLPASS_URL: '' }, 125, 'HALLPASS_URL is not set'],
    [
      'a task around us, and nothing to open one below it with',
      () => {},
      [],
      { HALLPASS_TASK: 'task_outer', HALLPASS_TOKEN: '' },
      125,
      'already inside task_outer',
    ],
    ['a flag without sense', () => {}, ['--settle', 'soon'], {}, 2, '--settle'],
  ] as const)('%s', async (_, arrange, options, environment, exitCode, says) => {
    arrange()
    const ran = await exec([...query, ...options], teller(), { environment })
    expect(ran.exitCode).toBe(exitCode)
    expect(ran.stderr).toContain(says)
    expect(existsSync(told)).toBe(false)
    expect(wire.leases.size).toBe(0)
  })

  test('two credentials for one variable: the task is completed and nothing ran', async () => {
    const ran = await exec(['--credential', 'deploy.run=repo:a/b', '--credential', 'deploy.run=repo:a/c'], teller())
    expect(ran.exitCode).toBe(125)
    expect(ran.stderr).toContain('two credentials want to set HALLPASS_CREDENTIAL')
    expect(existsSync(told)).toBe(false)
    expect([...wire.leases.values()].map(({ state }) => state)).toEqual(['revoked', 'revoked'])
  })

  test('no command is a usage error', async () => {
    expect((await runHallpass(['exec', ...query])).exitCode).toBe(2)
  })
})

describe('exec --task', () => {
  test('uses that task, gives back its own leases and leaves the task open', async () => {
    const opened = await runHallpass(['task', 'open', '--purpose', 'outer'], {
      environment: { HALLPASS_URL: wire.url, HALLPASS_TOKEN: workloadToken },
    })
    const [taskId = ''] = wire.tasks.keys()
    expect(opened.stdout).toBe(`HALLPASS_TASK=${taskId}\nHALLPASS_TASK_TOKEN=token-of.${taskId}\n`)
    const environment = { HALLPASS_TASK: taskId, HALLPASS_TASK_TOKEN: `token-of.${taskId}` }
    const ran = await exec([...query, '--task', taskId, '--credential', 'x:deploy.run=repo:a/b'], teller(), {
      environment,
    })
    expect(ran).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(readTold().env).toMatchObject(environment)
    expect([...wire.leases.values()].map(({ state }) => state)).toEqual(['revoked', 'revoked'])
    expect(wire.tasks.get(taskId)?.state).toBe('open')
  })

  test('a second credential that is denied gives the first back', async () => {
    await runHallpass(['task', 'open', '--purpose', 'outer'], {
      environment: { HALLPASS_URL: wire.url, HALLPASS_TOKEN: workloadToken },
    })
    const [taskId = ''] = wire.tasks.keys()
    wire.refused.set('deploy.run', 'denied')
    const ran = await exec([...query, '--task', taskId, '--credential', 'deploy.run=repo:a/b'], teller())
    expect(ran.exitCode).toBe(125)
    expect([...wire.leases.values()].map(({ state }) => state)).toEqual(['revoked'])
  })
})
