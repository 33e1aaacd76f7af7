// The demo as a newcomer runs it: every claim holds, and whichever way it ends nothing of it is left.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { findProgram } from '../../src/dev/redis.js'
import { hallpassProgram } from '../support/stack.js'

const demoProgram = join(hallpassProgram, '../../../scripts/demo/main.js')

/** Whatever the demo starts inherits its PATH; this member of it says whose it is. */
let mark: string
let temporary: string
beforeEach(() => {
  mark = `/nonexistent/${randomUUID()}`
  temporary = mkdtempSync(join(tmpdir(), 'hallpass-demo-test-'))
  // PostgreSQL runs as a user of its own and must come through.
  chmodSync(temporary, 0o755)
})
afterEach(() => {
  for (const { pid } of processesOf(mark)) process.kill(pid, 'SIGKILL')
  rmSync(temporary, { recursive: true, force: true })
})

test('tells the whole story with the servers that are here, and leaves nothing behind', async () => {
  const demo = startDemo(process.env)
  expect(await demo.ended).toEqual([0, null])
  const text = demo.output()
  expect(text).not.toContain('✗')
  const claims = text.match(/✓/g)?.length ?? 0
  expect(claims).toBeGreaterThanOrEqual(20)
  expect(text).toContain(`All ${claims} claims held`)
  for (const code of [
    '401 invalid_token',
    '403 denied (no_permit)',
    '404 unknown_resource',
    '403 denied (forbidden)',
  ]) {
    expect(text).toContain(code)
  }
  expect(text).toMatch(/hallpass audit verify +intact: [0-9]+ records in 2 chains/)
  // No colours where nobody looks at a terminal.
  expect(text).not.toContain('\u001b[')
  expectNothingLeft()
}, 300_000)

test('Ctrl-C in the middle ends everything', async () => {
  const demo = startDemo(await standInsOnly())
  await demo.until('1. An agent')
  expect(processesOf(mark).length).toBeGreaterThanOrEqual(3)
  demo.child.kill('SIGINT')
  expect(await demo.ended).toEqual([130, null])
  expectNothingLeft()
}, 300_000)

test('Ctrl-C while everything is starting ends what has started, and what was about to', async () => {
  // Its broker never gets as far as to start: else a quick machine, or one where we stand still, has told the story by now.
  const held = "if (process.argv[2] === 'serve') await new Promise(() => setInterval(() => {}, 1000))"
  const options = `${process.env.NODE_OPTIONS ?? ''} --import=data:text/javascript,${encodeURIComponent(held)}`
  const demo = startDemo({ ...process.env, NODE_OPTIONS: options.trim() })
  await demo.until('Starting')
  await new Promise((resolve) => setTimeout(resolve, 700))
  demo.child.kill('SIGINT')
  expect(await demo.ended).toEqual([130, null])
  expect(demo.output()).not.toContain('1. An agent')
  expectNothingLeft()
}, 300_000)

test('a claim that does not hold fails the demo, and everything is ended all the same', async () => {
  const demo = startDemo(await standInsOnly())
  // Nothing is asked of Hallpass for the next six seconds: the first to notice is a claim.
  await demo.until('Vault answers it')
  const [, pid] = /serve \(([0-9]+)\)/.exec(demo.output()) ?? []
  process.kill(Number(pid), 'SIGKILL')
  expect(await demo.ended).toEqual([1, null])
  expect(demo.output()).toContain('✗ Hallpass knows it')
  expect(demo.output()).toContain('The demo failed: this did not hold:')
  expectNothingLeft()
}, 300_000)

test('left running it says how to try it, and ends on SIGTERM', async () => {
  const demo = startDemo(await standInsOnly(), '--keep-running')
  await demo.until('Ctrl-C ends everything')
  const [, url] = /export HALLPASS_URL=(\S+)/.exec(demo.output()) ?? []
  const [, tokens] = /tokens +(\S+)\/agent\.jwt/.exec(demo.output()) ?? []
  const token = readFileSync(join(String(tokens), 'agent.jwt'), 'utf8')
  const opened = await fetch(`${url}/v1/tasks`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      purpose: 'try it',
      credentials: [{ action: 'database.query', resource: 'database:orders' }],
    }),
  })
  expect(opened.status).toBe(201)
  demo.child.kill('SIGTERM')
  expect(await demo.ended).toEqual([0, null])
  expectNothingLeft()
}, 300_000)

interface RunningDemo {
  child: ChildProcess
  ended: Promise<[number | null, NodeJS.Signals | null]>
  output(): string
  until(text: string): Promise<void>
}

function startDemo(environment: NodeJS.ProcessEnv, ...args: string[]): RunningDemo {
  const env = { ...environment, PATH: `${environment.PATH}${delimiter}${mark}`, TMPDIR: temporary }
  const child = spawn(process.execPath, [demoProgram, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  return {
    child,
    ended: once(child, 'close') as RunningDemo['ended'],
    output: () => output,
    async until(text) {
      while (!output.includes(text)) {
        if (child.exitCode !== null) throw new Error(`it ended before "${text}":\n${output}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
  }
}

/** A machine with Node.js and Redis and nothing else: quicker, and what a newcomer has. */
async function standInsOnly(): Promise<NodeJS.ProcessEnv> {
  const { VAULT_ADDR: _vault, AWS_ENDPOINT_URL_STS: _sts, ...env } = process.env
  const redis = (await findProgram('redis-server', env)) ?? (await findProgram('valkey-server', env))
  const folders = [dirname(process.execPath), ...(redis === null ? [] : [dirname(redis)]), '/usr/bin', '/bin']
  return { ...env, PATH: folders.join(delimiter), HOME: temporary }
}

function expectNothingLeft(): void {
  expect(processesOf(mark)).toEqual([])
  expect(readdirSync(temporary)).toEqual([])
}

/** Linux only; elsewhere nothing is found, and only the folders are looked at. */
function processesOf(marked: string): { pid: number; command: string }[] {
  if (!existsSync('/proc/self/environ')) return []
  return readdirSync('/proc').flatMap((name) => {
    if (!/^[0-9]+$/.test(name)) return []
    try {
      if (!readFileSync(`/proc/${name}/environ`, 'utf8').includes(marked)) return []
      return [{ pid: Number(name), command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ') }]
    } catch {
      // It ended while we looked, or is not ours to look at.
      return []
    }
  })
}
