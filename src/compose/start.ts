// Composed parts → running programs: servers that listen, workers that work, and how both stop.
import type { Server } from 'node:http'
import { ForegroundGate } from '../broker/foreground-gate.js'
import { createPostNotice } from '../broker/post-notice.js'
import type { Address } from '../config/schema.js'
import { createApp, createWebServer } from '../http/app.js'
import { healthRoutes } from '../http/health.js'
import { allRoutes, type Door, routesAt } from '../http/routes.js'
import { signatureAlgorithms } from '../identity/key-set.js'
import { federationIssuer, publishedDocuments } from '../signing/discovery.js'
import { version } from '../version.js'
import { startNotices } from '../worker/notices.js'
import { startRevocationWorkers } from '../worker/revocation-worker.js'
import { startRulesBeat } from '../worker/rules-beat.js'
import { startSweeper } from '../worker/sweeper.js'
import type { Composed } from './compose.js'

/** Something that runs until it is drained. */
export interface Running {
  /** Takes nothing new; resolves when what is under way is over. */
  drain(): Promise<void>
}

/** Listens on every configured address. Resolves when all do; rejects when one cannot. */
export async function startServers(composed: Composed): Promise<Running> {
  const { settings, parts } = composed
  const { listen, tls, issuer } = settings
  const documents = {
    ...publishedDocuments(issuer, parts.keyset, ['introspect']),
    // Anew at each call, since issuers may be loaded anew: GitHub Actions and others are asked for these audiences.
    '/.well-known/hallpass': () => ({
      issuer,
      federation_issuer: federationIssuer(issuer),
      ...composed.clientFacts(),
      ...dpopMetadata(settings),
      version,
    }),
  }
  const routes = allRoutes({ issuer, version, documents, condition: composed.condition })
  const separate = { operators: listen.operators !== null, metrics: listen.metrics !== null }
  const servers: Server[] = []
  const open = async (door: Door, address: Address | null, secure: boolean) => {
    if (address === null) return
    const app = createApp(composed, routesAt(routes, door, separate))
    const server = createWebServer(
      composed,
      app,
      secure && tls ? { ...tls, asksForCertificates: tls.client_certificates } : null,
    )
    servers.push(server)
    await listenOn(server, address)
  }
  await open('workloads', listen.workloads, true)
  await open('operators', listen.operators, true)
  await open('metrics', listen.metrics, false)
  const serving = startServingSign(parts)
  // Beside a worker in the same program that says it for both.
  const rules = composed.program === 'dev' ? null : startRulesBeat(parts, programName(composed), null)
  return {
    async drain() {
      clearInterval(serving)
      await rules?.stop()
      await drainServers(servers)
    },
  }
}

/** As the ledger knows it: restarted, it is the same. */
const programName = ({ settings, program }: Composed) => `${settings.audit.instance}-${program}`

/** What a client needs to know before it proves a key. */
function dpopMetadata({ issuers, issuer }: Composed['settings']): object {
  const bound = Object.values(issuers).filter((one) => one.use === 'workload' && one.bind === 'audience')
  return {
    dpop_signing_alg_values_supported: signatureAlgorithms,
    dpop_bound_audiences: [...new Set(bound.flatMap((one) => one.audience ?? [issuer]))],
  }
}

/** Each second; while Redis cannot be reached there is no sign, and that is what its absence says. */
function startServingSign(parts: Composed['parts']): NodeJS.Timeout {
  const sign = () =>
    parts.ledger.noteServing().catch((error: unknown) => parts.log.debug({ err: error }, 'no sign that we serve'))
  void sign()
  return setInterval(() => void sign(), 1000)
}

async function listenOn(server: Server, { host, port }: Address): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** Running requests are finished within it, else their connections are cut; a mint that still runs is the sweeper's to end. */
const drainMs = 15_000
/** A revocation under way is finished within it, else handed back to the other workers. */
const workerDrainMs = 8000

function closeEach(servers: readonly Server[], close: (server: Server) => void): void {
  for (const server of servers) close(server)
}

async function drainServers(servers: readonly Server[]): Promise<void> {
  const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())))
  for (const server of servers) server.closeIdleConnections()
  const late = setTimeout(() => closeEach(servers, (server) => server.closeAllConnections()), drainMs)
  // Connections that become idle while we wait are closed as their answers go out.
  const idle = setInterval(() => closeEach(servers, (server) => server.closeIdleConnections()), 100)
  await Promise.all(closed)
  clearTimeout(late)
  clearInterval(idle)
}

/** Health and metrics of a program without an API, on `listen.worker`: what it did itself, only it can tell. */
export async function startWorkerServer(composed: Composed): Promise<Running> {
  const { listen } = composed.settings
  if (listen.worker === null) return { drain: async () => undefined }
  const routes = healthRoutes(composed.condition, version)
  const server = createWebServer(composed, createApp(composed, routes), null)
  await listenOn(server, listen.worker)
  return { drain: () => drainServers([server]) }
}

/** The BullMQ workers and the sweeper. */
export function startWorker(composed: Composed): Running {
  const { parts, settings } = composed
  const connections: { disconnect(): void }[] = []
  const connect = () => {
    const connection = composed.connectPatient()
    connections.push(connection)
    return connection
  }
  const foreground = new ForegroundGate()
  const sweeper = startSweeper(parts, foreground)
  const { webhook } = settings.approvals
  const notices = webhook && startNotices(parts, createPostNotice(webhook, parts.clock), webhook.timeout)
  const workers = startRevocationWorkers(parts, connect, settings.redis.prefix, foreground)
  const rules = startRulesBeat(parts, programName(composed), foreground)
  return {
    async drain() {
      await Promise.all([
        rules.stop(),
        sweeper.stop(workerDrainMs),
        workers.drain(workerDrainMs),
        notices?.stop(workerDrainMs),
      ])
      for (const connection of connections) connection.disconnect()
    },
  }
}
