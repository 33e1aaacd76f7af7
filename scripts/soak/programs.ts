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

export const startMortal = (options: MortalOptions): Mortal => new KeptProgram(options)

class KeptProgram implements Mortal {
  readonly name: 'serve' | 'worker'
  readonly title: string
  readonly url: string
  readonly #clockFile: string
  readonly #spawn: () => Program
  readonly #book: Book
  readonly #kept: Promise<void>
  #running: Program
  /** It was told to end, and has not been started again. */
  #told = false
  #stopping = false
  #lastWords = ''

  constructor({ name, title, url, hallpass, directory, book }: MortalOptions) {
    this.name = name
    this.title = title
    this.url = url
    this.#book = book
    this.#clockFile = join(directory, `${title}.clock`)
    const env = {
      HALLPASS_LOG_LEVEL: 'info',
      SOAK_CLOCK: this.#clockFile,
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(offsetClock)}`,
    }
    this.#spawn = () => spawnProgram(name, { hallpass, configFile: join(directory, `${title}.yaml`), env })
    this.#running = this.#spawn()
    this.#kept = this.#keepRunning()
  }

  isUp(): boolean {
    return !this.#told && this.#running.output().includes('"msg":"started"')
  }

  kill(signal: NodeJS.Signals): void {
    this.#told = true
    this.#signal(signal)
  }

  hold(): void {
    this.#signal('SIGSTOP')
  }

  goOn(): void {
    this.#signal('SIGCONT')
  }

  setClock(offsetMs: number): void {
    if (offsetMs === 0) rmSync(this.#clockFile, { force: true })
    else writeFileSync(this.#clockFile, String(offsetMs))
  }

  async untilStarted(seconds: number): Promise<void> {
    const end = performance.now() + seconds * 1000
    while (!this.isUp()) {
      if (performance.now() > end)
        throw new Error(`${this.title} did not start:\n${this.#lastWords}\n${this.#running.lastWords()}`)
      await pause(50)
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#signal('SIGCONT')
    this.#signal('SIGTERM')
    const late = setTimeout(() => this.#signal('SIGKILL'), 10_000)
    await this.#running.ended
    clearTimeout(late)
    await this.#kept
  }

  async #keepRunning(): Promise<void> {
    for (;;) {
      const exit = await this.#running.ended
      if (this.#stopping) return
      this.#lastWords = this.#running.lastWords()
      // Before it has started it may give up: its Redis is not there.
      if (this.isUp()) {
        const how = `${this.title} with ${exit.code ?? exit.signal}: ${this.#lastWords}`
        this.#book.wrong.push({ check: 'ended', what: how })
      }
      await pause(200)
      if (this.#stopping) return
      this.#running = this.#spawn()
      this.#told = false
    }
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(this.#running.pid, signal)
    } catch {
      // It is dead already.
    }
  }
}
