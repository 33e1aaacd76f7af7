// Structured logs on stderr. Nothing secret is ever handed to it; redaction is the second net, not the first.
import { type Logger, pino } from 'pino'

export type { Logger }

const secretMembers = [
  'authorization',
  'token',
  'password',
  'secret',
  'credential',
  'handle',
  'jwt',
  'secret_id',
  'private_key',
]

/** `level` as pino names it. An error's `cause` is logged by message alone: upstream errors can carry requests. */
export function createLogger(name: string, level: string): Logger {
  return pino(
    {
      name,
      level,
      base: { program: name },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      redact: { paths: secretMembers.flatMap((member) => [member, `*.${member}`]), censor: '[redacted]' },
      serializers: { err: (error: unknown) => describeError(error) },
    },
    { write: (line: string) => process.stderr.write(line) },
  )
}

/** Class, message and stack of an error and the messages of its causes. */
export function describeError(error: unknown): { type: string; message: string; causes: string[]; stack?: string } {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error), causes: [] }
  const causes: string[] = []
  for (let cause: unknown = error.cause; cause instanceof Error && causes.length < 5; cause = cause.cause)
    causes.push(cause.message)
  return { type: error.name, message: error.message, causes, ...(error.stack ? { stack: error.stack } : {}) }
}
