// What is wrong with a configuration, each with its place.

export interface ConfigProblem {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly column: number
  /** Where in the file's structure, such as `limits.task.ttl`; empty for the text itself. */
  readonly path: string
  readonly message: string
}

/** Every problem at once, one per line of the message: `file:line: path: what was expected`. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[]
  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** One line, `file:line: path: message`. */
export function formatProblem(problem: { file: string; line: number; path?: string; message: string }): string {
  const path = problem.path ? `${problem.path}: ` : ''
  return `${problem.file}:${problem.line}: ${path}${problem.message}`
}

/** Collects, so that an operator mends a file once and not once per mistake. */
export class ConfigProblems {
  readonly #problems: ConfigProblem[] = []

  add(problem: ConfigProblem): void {
    this.#problems.push(problem)
  }

  throwIfAny(): void {
    if (this.#problems.length === 0) return
    throw new ConfigError([...this.#problems].sort((a, b) => a.line - b.line || a.column - b.column))
  }
}

/** `ENOENT` and the like of a failed file operation; undefined for any other error (TextDecoder's start with ERR_). */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  const code = String(error.code)
  return /^E(?!RR_)[A-Z0-9]+$/.test(code) ? code : undefined
}
