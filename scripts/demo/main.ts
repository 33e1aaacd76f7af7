// `npm run demo` and `npm start`, once everything is installed and built. Nothing outlives it, whichever way it ends.
import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findFreePort } from '../../src/dev/redis.js'
import { keepRunning } from './keep-running.js'
import { createNarrator, type Narrator } from './narrator.js'
import { tellStory } from './story.js'
import { createUndo, type Undo } from './undo.js'
import { createWorld, type World, type WorldOptions } from './world.js'

const usualPort = 8700

/** Tells the story, or with `keep` leaves the stack running until a signal. Returns the exit code. */
export async function runDemo({ keep }: { keep: boolean }): Promise<number> {
  // The SDK's word on Node versions is for its developers, not for a newcomer's first minute.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'
  const undo = createUndo()
  const interrupted = untilInterrupted()
  let ending = false
  // What the story still says while everything is being ended would only be about that.
  const write = (line: string) => void (ending || process.stdout.write(`${line}\n`))
  const narrator = createNarrator(write, process.stdout.isTTY === true && !process.env.NO_COLOR)
  const directory = await mkdtemp(join(tmpdir(), 'hallpass-demo-'))
  const start = { directory, undo, say: narrator.note }
  const story = keep ? stay(narrator, start, interrupted) : tell(narrator, start)
  let exitCode = 0
  try {
    const signal = await Promise.race([story, interrupted])
    if (signal !== null) exitCode = keep ? 0 : 130
  } catch (error) {
    process.stderr.write(`\nThe demo failed: ${messageOf(error)}\n`)
    exitCode = 1
  }
  ending = true
  const failures = await endAll(undo, story)
  await rm(directory, { recursive: true, force: true })
  for (const failure of failures) process.stderr.write(`while ending: ${messageOf(failure)}\n`)
  return exitCode || (failures.length > 0 ? 1 : 0)
}

/**
 * Also what an interrupted story was just starting: only what has come up can be ended, and on a busy machine that takes a server
 * its time. The story goes no further than that.
 */
async function endAll(undo: Undo, story: Promise<unknown>): Promise<unknown[]> {
  await undo.run()
  const patience = new Promise((resolve) => setTimeout(resolve, 60_000).unref())
  await Promise.race([story.catch(() => undefined), patience])
  return await undo.run()
}

type Start = Omit<WorldOptions, 'port'>

async function tell(narrator: Narrator, start: Start): Promise<null> {
  const startedAt = performance.now()
  narrator.title("Hallpass: a workload's own token buys a credential that really dies")
  narrator.note('Starting everything that it needs: some seconds …\n')
  const world = await createWorld({ ...start, port: await findFreePort() })
  introduce(world, narrator)
  await tellStory(world, narrator)
  narrator.note('')
  narrator.note(`All ${narrator.claims()} claims held, in ${((performance.now() - startedAt) / 1000).toFixed(0)} s.`)
  sayWhatStoodIn(world, narrator)
  return null
}

async function stay(narrator: Narrator, start: Start, until: Promise<unknown>): Promise<null> {
  narrator.title('Hallpass, with all that it needs')
  narrator.note('Starting it: some seconds …\n')
  const port = (await isFree(usualPort)) ? usualPort : await findFreePort()
  const world = await createWorld({ ...start, port })
  introduce(world, narrator)
  await keepRunning(world, narrator, start.undo, until)
  return null
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

function introduce({ url, programs, servers, directory }: World, { row }: Narrator): void {
  const { redis, vault, sts } = servers
  const kind = (real: boolean) => (real ? 'real' : 'STAND-IN')
  row('Hallpass', `${url}, ${programs.map(({ name, pid }) => `${name} (${pid})`).join(' and ')}, files in ${directory}`)
  row('Redis', `real      ${redis.how}`)
  row('Vault', `${kind(vault.real).padEnd(9)} ${vault.real ? vault.how : vault.address}`)
  row('PostgreSQL', `${vault.database.real ? 'real     ' : 'none     '} ${vault.databaseHow.replace(/^none: /, '')}`)
  row('AWS', `${kind(sts.real).padEnd(9)} ${sts.real ? sts.how : sts.endpoint}`)
  row('identities', 'stand-ins with real keys: a SPIFFE domain, GitHub Actions, a single sign-on')
}

function sayWhatStoodIn({ servers }: World, { note }: Narrator): void {
  for (const [name, { real, add }] of [
    ['Vault and PostgreSQL', servers.vault],
    ['AWS STS', servers.sts],
  ] as const) {
    if (!real) note(`A stand-in played ${name}. For the real one: ${add}`)
  }
}

/** Resolves with the signal that asks us to end; a second one ends at once. */
function untilInterrupted(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve(signal))
  })
}

const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket.once('connect', () => resolve(false)).once('error', () => resolve(true))
    socket.once('connect', () => socket.destroy())
  })

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exit(await runDemo({ keep: process.argv.includes('--keep-running') }))
}
