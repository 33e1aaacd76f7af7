// One of our programs as a child process: started, watched until it runs, ended by its process id.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

export type ProgramName = 'serve' | 'worker' | 'dev'

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Program {
  readonly name: ProgramName
  readonly pid: number
  /** Resolves when it has ended, however that came. */
  readonly ended: Promise<Exit>
  /** Everything it has written so far, stdout and stderr as they came. */
  output(): string
  /** Its last lines, for an error's text. */
  lastWords(): string
  /** The same, but not for ever: after the time (100 s by default) it is killed and this throws with what it wrote. */
  untilEnded(seconds?: number): Promise<Exit>
  /** Sends the signal (SIGTERM by default, which drains) and resolves once it has ended. */
  kill(signal?: NodeJS.Signals): Promise<Exit>
}

export interface ProgramOptions {
  /** The built `dist/src/bin/hallpass.js`. */
  readonly hallpass: string
  readonly configFile: string
  /** Over the environment of this process; undefined leaves one out. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** Resolves once it has logged `started`. Throws with what it wrote when it ends instead, or kills it after the time (60 s: a busy machine is no failure). */
export async function untilStarted(program: Program, seconds = 60): Promise<void> {
  const end = performance.now() + seconds * 1000
  let exit: Exit | null = null
  void program.ended.then((how) => {
    exit = how
  })
  while (!program.output().includes('"msg":"started"')) {
    if (exit !== null) throw new Error(`hallpass ${program.name} ended at once:\n${program.lastWords()}`)
    if (performance.now() > end) {
      await program.kill('SIGKILL')
      throw new Error(`hallpass ${program.name} did not start:\n${program.lastWords()}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Starts one and does not wait: `untilStarted` does. */
export function spawnProgram(name: ProgramName, options: ProgramOptions): Program {
  const child = spawn(process.execPath, [options.hallpass, name, '--config', options.configFile], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    // A group of its own: Ctrl-C in the terminal reaches us alone, and we end our children in order.
    detached: true,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const ended = waitForExit(child)
  const untilEnded = async (seconds = 100) => {
    const late = setTimeout(() => child.kill('SIGKILL'), seconds * 1000)
    const exit = await ended
    clearTimeout(late)
    if (exit.signal === 'SIGKILL')
      throw new Error(`hallpass ${name} did not end within ${seconds} s:\n${lastLines(output)}`)
    return exit
  }
  return {
    name,
    pid: child.pid ?? 0,
    ended,
    output: () => output,
    lastWords: () => lastLines(output),
    untilEnded,
    async kill(signal = 'SIGTERM') {
      child.kill(signal)
      return await ended
    },
  }
}

async function waitForExit(child: ChildProcess): Promise<Exit> {
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal }
}

const lastLines = (text: string) => text.trimEnd().split('\n').slice(-15).join('\n')
