// The programs of a soak: killed, drained, held and started with a clock that is off, and always started again.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Program, spawnProgram } from '../demo/program.js'
import type { Book } from './book.js'
import { pause } from './random.js'

export interface Mortal {
  readonly name: 'serve' | 'worker'
  /** `serve-1`, … */
  readonly title: string
  /** Where it listens; a worker does not. */
  readonly url: string
  /** Whether it has started and was not told to end. Held ones are up, as far as anybody can see. */
  isUp(): boolean
  /** Ends it with the signal; it is started again by itself. */
  kill(signal: NodeJS.Signals): void
  /** SIGSTOP and SIGCONT: a machine that sleeps. */
  hold(): void
  goOn(): void
  /** Its clock from now on, and that of its next lives. Milliseconds off. */
  setClock(offsetMs: number): void
  untilStarted(seconds: number): Promise<void>
  /** Starts it no more, and ends it. */
  stop(): Promise<void>
}

/** Loaded before the program: its time of day is off by what the file says at the moment, to a tenth of a second. */
const offsetClock = `
import { readFileSync } from 'node:fs'
const Right = Date
let offset = 0
const read = () => { try { offset = Number(readFileSync(process.env.SOAK_CLOCK, 'utf8')) } catch { offset = 0 } }
read()
setInterval(read, 100).unref()
globalThis.Date = class extends Right {
  constructor(...given) { if (given.length === 0) super(Right.now() + offset); else super(...given) }
  static now() { return Right.now() + offset }
}`

export interface MortalOptions {
  readonly name: 'serve' | 'worker'
  readonly title: string
  readonly url: string
  readonly hallpass: string
  readonly directory: string
  readonly book: Book
}

export function startMortal(options: MortalOptions): Mortal {
  const { name, title, directory, book } = options
  const clockFile = join(directory, `${title}.clock`)
  const env = {
    HALLPASS_LOG_LEVEL: 'info',
    SOAK_CLOCK: clockFile,
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(offsetClock)}`,
  }
  const configFile = join(directory, `${title}.yaml`)
  const spawn = () => spawnProgram(name, { hallpass: options.hallpass, configFile, env })
  let running: Program = spawn()
  let stopping = false
  let told = false
  let lastWords = ''
  // What was told to end has, as far as anybody is concerned.
  const isUp = () => !told && running.output().includes('"msg":"started"')
  const keepRunning = async () => {
    for (;;) {
      const exit = await running.ended
      if (stopping) return
      lastWords = running.lastWords()
      // Before it has started it may give up: its Redis is not there.
      if (isUp()) book.wrong.push({ check: 'ended', what: `${title} with ${exit.code ?? exit.signal}: ${lastWords}` })
      await pause(200)
      if (stopping) return
      running = spawn()
      told = false
    }
  }
  const kept = keepRunning()
  const signal = (which: NodeJS.Signals) => {
    try {
      process.kill(running.pid, which)
    } catch {
      // It is dead already.
    }
  }
  return {
    name,
    title,
    url: options.url,
    isUp,
    kill(which) {
      told = true
      signal(which)
    },
    hold: () => signal('SIGSTOP'),
    goOn: () => signal('SIGCONT'),
    setClock(offsetMs) {
      if (offsetMs === 0) rmSync(clockFile, { force: true })
      else writeFileSync(clockFile, String(offsetMs))
    },
    async untilStarted(seconds) {
      const end = performance.now() + seconds * 1000
      while (!isUp()) {
        if (performance.now() > end) throw new Error(`${title} did not start:\n${lastWords}\n${running.lastWords()}`)
        await pause(50)
      }
    },
    async stop() {
      stopping = true
      signal('SIGCONT')
      signal('SIGTERM')
      const late = setTimeout(() => signal('SIGKILL'), 10_000)
      await running.ended
      clearTimeout(late)
      await kept
    },
  }
}
