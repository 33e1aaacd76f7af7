// A program of its own that writes an audit chain: what dies, is stopped or meets a full disk has to be a real process.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { transform } from '@swc/core'

const program = `
import { createInterface } from 'node:readline'
import { openAuditLog } from './audit/audit-log.js'
import { systemClock } from './core/clock.js'
const say = (message) => process.stdout.write(JSON.stringify(message) + '\\n')
const signCheckpoint = async (claims) => 'e30.' + Buffer.from(JSON.stringify(claims)).toString('base64url') + '.AA'
let log
try {
  log = await openAuditLog({ directory: process.argv[2], instance: 'one', program: 'serve', clock: systemClock, signCheckpoint })
} catch (error) {
  say({ refused: error.name, message: error.message })
  process.exit(1)
}
say({ open: log.sequence })
const append = (size) => log.append({ event: 'task.opened', filler: 'x'.repeat(size) }).then(
  (sequence) => say({ sequence }),
  (error) => say({ error: error.code, failure: log.status().failure }),
)
for await (const line of createInterface({ input: process.stdin })) {
  const [command, number] = line.split(' ')
  if (command === 'append') void append(Number(number))
  if (command === 'flood') for (let i = 0; i < 16; i++) void (async () => { for (;;) await append(Number(number)) })()
  if (command === 'close') { await log.close(); say({ closed: true }); process.exit(0) }
}
`

let compiled: Promise<string> | null = null

/** The sources that the child needs, as JavaScript in a folder of their own: a child has no test runner around it. */
export function compileSources(): Promise<string> {
  compiled ??= (async () => {
    const to = await mkdtemp(join(tmpdir(), 'hallpass-child-'))
    for (const folder of ['core', 'audit']) {
      await mkdir(join(to, folder))
      for (const name of await readdir(join('src', folder))) {
        const source = await readFile(join('src', folder, name), 'utf8')
        const options = {
          jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
          module: { type: 'es6' },
        } as const
        await writeFile(join(to, folder, name.replace(/\.ts$/, '.js')), (await transform(source, options)).code)
      }
    }
    await writeFile(join(to, 'package.json'), '{"type":"module"}')
    await symlink(resolve('node_modules'), join(to, 'node_modules'))
    await writeFile(join(to, 'child.js'), program)
    return to
  })()
  return compiled
}

export async function removeCompiled(): Promise<void> {
  if (compiled) await rm(await compiled, { recursive: true, force: true })
}

export type Message = Readonly<Record<string, unknown>>

export class AuditChild {
  readonly process: ChildProcess
  readonly messages: Message[] = []
  #waiting: (() => void)[] = []

  private constructor(process: ChildProcess) {
    this.process = process
    if (!process.stdout) throw new Error('no stdout')
    createInterface({ input: process.stdout }).on('line', (line) => {
      this.messages.push(JSON.parse(line) as Message)
      for (const wake of this.#waiting.splice(0)) wake()
    })
  }

  /** `prefix` is a shell's, such as `ulimit -S -f 16;`. Resolves with its first message read. */
  static async start(directory: string, prefix = ''): Promise<AuditChild> {
    const script = join(await compileSources(), 'child.js')
    const command = `${prefix} exec '${process.execPath}' '${script}' '${directory}'`
    const child = new AuditChild(spawn('sh', ['-c', command], { stdio: ['pipe', 'pipe', 'inherit'], env: {} }))
    await child.until((messages) => messages.length > 0)
    return child
  }

  tell(command: string): void {
    this.process.stdin?.write(`${command}\n`)
  }

  async until(holds: (messages: readonly Message[]) => boolean): Promise<void> {
    while (!holds(this.messages)) await new Promise<void>((wake) => this.#waiting.push(wake))
  }

  /** Sequences that it was told are on disk. */
  answered(): number[] {
    return this.messages.flatMap(({ sequence }) => (typeof sequence === 'number' ? [sequence] : []))
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    const ended = once(this.process, 'exit')
    this.process.kill(signal)
    await ended
  }
}
