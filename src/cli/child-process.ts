// Runs the command: our stdio, its environment, signals passed on. While a watch stands no signal ends this process, so
// that what was borrowed is always given back; the command decides for itself what a signal means to it.
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'

const watched = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const
type WatchedSignal = (typeof watched)[number]

export interface SignalSource {
  on(signal: WatchedSignal, listener: () => void): unknown
  off(signal: WatchedSignal, listener: () => void): unknown
}

export interface SignalWatch {
  /** The first signal seen, else null. */
  received(): WatchedSignal | null
  /** Aborted by the first signal, which is the reason: for what has to end at once, while there is no command yet to decide. */
  readonly first: AbortSignal
  /** From now on every signal goes to `child` too. */
  passTo(child: ChildProcess): void
  stop(): void
}

/** `fromTerminal`: a terminal sends ^C and ^\ to the whole foreground group itself; twice is often read as "at once". */
export function watchSignals(source: SignalSource, fromTerminal: boolean): SignalWatch {
  let first: WatchedSignal | null = null
  let child: ChildProcess | null = null
  const seen = new AbortController()
  const listeners = watched.map((signal) => {
    const listener = () => {
      first ??= signal
      seen.abort(signal)
      if (fromTerminal && (signal === 'SIGINT' || signal === 'SIGQUIT')) return
      child?.kill(signal)
    }
    source.on(signal, listener)
    return { signal, listener }
  })
  return {
    received: () => first,
    first: seen.signal,
    passTo: (started) => {
      child = started
    },
    stop: () => {
      for (const { signal, listener } of listeners) source.off(signal, listener)
    },
  }
}

export interface CommandEnd {
  /** As a shell would say it: 128 + n for signal n. */
  readonly exitCode: number
  readonly signal: NodeJS.Signals | null
}

/** Starts `command` and waits for its end. Rejects when it cannot be started. */
export function runCommand(
  command: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  signals: SignalWatch,
): Promise<CommandEnd> {
  const [file, ...rest] = command
  if (file === undefined) return Promise.reject(new Error('no command was given'))
  return new Promise((resolve, reject) => {
    const child = spawn(file, rest, { stdio: 'inherit', env: { ...environment } })
    // Also said of a signal that could not be delivered; a command that runs is waited for whatever happens.
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return
      reject(new Error(`${file} could not be started (${error.code ?? error.message})`, { cause: error }))
    })
    child.once('close', (code, signal) =>
      resolve({ exitCode: signal === null ? (code ?? 1) : signalExitCode(signal), signal }),
    )
    signals.passTo(child)
  })
}

/** As a shell says it: 128 and the signal's number. */
export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}
