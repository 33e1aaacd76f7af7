// serve, worker and dev: load, wire, run until told to stop, drain.
import type { CommandOutput } from '../admin/command-output.js'
import type { Interceptor } from '../broker/interceptor.js'
import { type Composed, compose } from '../compose/compose.js'
import type { Program } from '../compose/own-chain.js'
import { type Running, startServers, startWorker, startWorkerServer } from '../compose/start.js'
import { type LoadedConfig, loadConfig } from '../config/load.js'
import { ConfigError, formatProblem } from '../config/problems.js'
import { BrokerError } from '../core/errors.js'
import { announceDev, prepareDev, startDevIssuer } from '../dev/built-in.js'
import { createDevToken } from '../dev/token.js'
import { PolicySetError } from '../policy/policy-set.js'

/** The API. Resolves with the exit code once a signal has drained it. */
export async function runServe(config: string, interceptor?: Interceptor): Promise<number> {
  const exitCode = await runProgram(
    'serve',
    () => loadConfig(config),
    async (composed) => [await startServers(composed)],
    interceptor,
  )
  return endSoon(exitCode)
}

/** Revocation and the sweeper. */
export async function runWorker(config: string, interceptor?: Interceptor): Promise<number> {
  const exitCode = await runProgram(
    'worker',
    () => loadConfig(config),
    async (composed) => [startWorker(composed), await startWorkerServer(composed)],
    interceptor,
  )
  return endSoon(exitCode)
}

/** Both in one process; without a configuration of its own also a development issuer, with everything it needs. */
export async function runDev(config: string | undefined): Promise<number> {
  if (config !== undefined) return endSoon(await runProgram('dev', () => loadConfig(config), startBoth))
  const ends: (() => Promise<void>)[] = []
  const load = async () => {
    // First, since its port is one program's at a time: a second Redis on the same files would spoil them.
    const issuer = await startDevIssuer()
    ends.unshift(() => issuer.drain())
    const { redis, configFile } = await prepareDev()
    ends.unshift(() => redis.stop())
    return await loadConfig(configFile)
  }
  const exitCode = await runProgram('dev', load, async (composed) => {
    const running = await startBoth(composed)
    announceDev()
    return running
  })
  // Also when the start failed halfway.
  for (const end of ends) await end()
  return endSoon(exitCode)
}

async function startBoth(composed: Composed): Promise<Running[]> {
  return [await startServers(composed), startWorker(composed)]
}

export async function devToken(
  options: { claims: readonly string[]; operator: boolean },
  output: CommandOutput,
): Promise<number> {
  const token = await createDevToken(options)
  output.print({ token }, token)
  return 0
}

async function runProgram(
  program: Program,
  load: () => Promise<LoadedConfig>,
  start: (composed: Composed) => Promise<Running[]>,
  interceptor?: Interceptor,
): Promise<number> {
  let composed: Composed | null = null
  try {
    const loaded = await load()
    composed = await compose(loaded, program, process.env.HALLPASS_LOG_LEVEL ?? 'info', interceptor)
    const running = await start(composed)
    // Before it is said that we run: who reads that may end us in the same breath.
    const told = untilSignal(composed)
    const { workloads } = loaded.settings.listen
    composed.parts.log.info(
      { issuer: loaded.settings.issuer, listen: `${workloads.host}:${workloads.port}` },
      'started',
    )
    await told
    // Servers first: what they have under way may still need the worker of the same process.
    for (const one of running) await one.drain()
    await closeInTime(composed)
    return 0
  } catch (error) {
    process.stderr.write(`hallpass ${program}: ${startFailure(error)}\n`)
    await composed?.close().catch(() => undefined)
    return 1
  }
}

const closeMs = 5000

/** Queue, ledger and audit; a Redis that hangs does not keep us. */
async function closeInTime(composed: Composed): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      composed.parts.log.warn('not everything could be closed in time')
      resolve()
    }, closeMs)
  })
  await Promise.race([composed.close(), late])
  clearTimeout(timer)
}

/** A call that is still out at a provider would keep this process for as long as it hangs. */
function endSoon(exitCode: number): number {
  setTimeout(() => process.exit(exitCode), 1000).unref()
  return exitCode
}

/** The first SIGTERM or SIGINT drains; a second one ends at once. SIGHUP reads the configuration again. */
async function untilSignal(composed: Composed): Promise<void> {
  process.on('SIGHUP', () => void composed.reload())
  await new Promise<void>((resolve) => {
    const stop = (signal: string) => {
      composed.parts.log.info({ signal }, 'draining')
      resolve()
      process.once('SIGTERM', () => process.exit(1))
      process.once('SIGINT', () => process.exit(1))
    }
    process.once('SIGTERM', stop)
    process.once('SIGINT', stop)
  })
}

/** What an operator can act upon; the stack of anything else helps nobody at start-up. */
function startFailure(error: unknown): string {
  if (error instanceof ConfigError || error instanceof PolicySetError) {
    return `the configuration was refused\n${error.problems.map((one) => `  ${formatProblem(one)}`).join('\n')}`
  }
  if (error instanceof BrokerError) return `${error.detail}; see that Redis is running at the configured URL`
  return error instanceof Error ? error.message : String(error)
}
