// The stage of the tests of `exec` where people have to agree: a small broker, a command that tells what it was given, and an
// operator who answers.
import type { EventEmitter } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { credentials } from './answers.js'
import { runHallpass } from './command-line.js'
import { startWireServer, type WireServer } from './wire-server.js'
import { operatorToken, workloadToken } from './wire-state.js'

/** What people have to agree to here. */
export const migrate = ['--action', 'database.migrate', '--resource', 'database:orders']

interface Around {
  environment?: Record<string, string>
  signals?: EventEmitter
  terminal?: ReturnType<ExecStage['terminal']>
}

/** What `exec` prints when it leaves a task open. */
interface LeftOpen {
  approvals: { id: string }[]
  approval: { id: string }
  task_id: string
  url: string
}

export async function startExecStage(): Promise<ExecStage> {
  const wire = await startWireServer()
  wire.offers.set('database.query', { credential: credentials.secret })
  wire.offers.set('database.migrate', { credential: credentials.jwt })
  wire.approvers.set('database.migrate', { group: 'dba', needed: 1 })
  return new ExecStage(wire)
}

export class ExecStage {
  readonly wire: WireServer
  /** What was written to the terminal. */
  drawn = ''
  readonly #folder = mkdtempSync(join(tmpdir(), 'hallpass-exec-'))
  readonly #told = join(this.#folder, 'told.json')

  constructor(wire: WireServer) {
    this.wire = wire
  }

  async close(): Promise<void> {
    await this.wire.close()
    rmSync(this.#folder, { recursive: true })
  }

  terminal(columns = 200) {
    return {
      columns,
      write: (text: string) => {
        this.drawn += text
      },
    }
  }

  exec(options: string[], { environment, ...around }: Around = {}) {
    const script = join(this.#folder, 'teller.cjs')
    writeFileSync(
      script,
      `require('node:fs').appendFileSync(${JSON.stringify(this.#told)}, JSON.stringify(process.env) + '\\n')`,
    )
    const identity = { HALLPASS_URL: this.wire.url, HALLPASS_TOKEN: workloadToken, PATH: process.env.PATH ?? '' }
    return runHallpass(['exec', ...options, '--', process.execPath, script], {
      environment: { ...identity, ...environment },
      ...around,
    })
  }

  /** The environment of each time that the command ran. */
  runs(): Record<string, string>[] {
    if (!existsSync(this.#told)) return []
    const lines = readFileSync(this.#told, 'utf8').trim().split('\n')
    return lines.map((line) => JSON.parse(line) as Record<string, string>)
  }

  answer(id: string, word: 'approve' | 'deny') {
    return runHallpass([word, id, '--reason', 'because'], {
      environment: { HALLPASS_URL: this.wire.url, HALLPASS_TOKEN: operatorToken },
    })
  }

  async untilAsked(): Promise<string> {
    while (this.wire.approvals.size === 0) await sleep(10)
    return [...this.wire.approvals.keys()][0] ?? ''
  }

  taskState() {
    return [...this.wire.tasks.values()].map(({ state, outcome }) => ({ state, outcome }))
  }

  async left(options: string[] = migrate): Promise<LeftOpen> {
    return JSON.parse((await this.exec(options)).stdout) as LeftOpen
  }
}
