// `npm run demo` and `npm start`, once everything is installed and built. Nothing outlives it, whichever way it ends.
import { createConnection } from 'node:net'
import { keepRunning } from './keep-running.js'
import { createNarrator, type Narrator } from './narrator.js'
import { tellStory } from './story.js'
import { createUndo } from './undo.js'
import { createWorld, type World } from './world.js'

const usualPort = 8700

/** Tells the story, or with `keep` leaves the stack running until a signal. Returns the exit code. */
export async function runDemo({ keep }: { keep: boolean }): Promise<number> {
  // The SDK's word on Node versions is for its developers, not for a newcomer's first minute.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'
  const colourful = process.stdout.isTTY === true && !process.env.NO_COLOR
  const narrator = createNarrator((line) => process.stdout.write(`${line}\n`), colourful)
  const undo = createUndo()
  const interrupted = untilInterrupted()
  let exitCode = 0
  try {
    const story = keep ? stay(narrator, interrupted) : tell(narrator)
    // Whichever comes first; the other's failure, once everything is being ended, says nothing new.
    story.catch(() => undefined)
    const signal = await Promise.race([story, interrupted])
    if (signal !== null) exitCode = keep ? 0 : 130
  } catch (error) {
    process.stderr.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`)
    exitCode = 1
  }
  for (const failure of await undo.run()) {
    process.stderr.write(`while ending: ${failure instanceof Error ? failure.message : String(failure)}\n`)
    exitCode ||= 1
  }
  return exitCode

  async function tell(on: Narrator): Promise<null> {
    const startedAt = performance.now()
    on.title("Hallpass: a workload's own token buys a credential that really dies")
    on.note('Starting everything that it needs: some seconds …\n')
    const world = await createWorld(undo, null, on.note)
    introduce(world, on)
    await tellStory(world, on)
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
    on.note('')
    on.note(`All ${on.claims()} claims held, in ${seconds} s.`)
    sayWhatStoodIn(world, on)
    return null
  }

  async function stay(on: Narrator, until: Promise<unknown>): Promise<null> {
    on.title('Hallpass, with all that it needs')
    on.note('Starting it: some seconds …\n')
    const world = await createWorld(undo, (await isFree(usualPort)) ? usualPort : null, on.note)
    introduce(world, on)
    await keepRunning(world, on, undo, until)
    return null
  }
}

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
