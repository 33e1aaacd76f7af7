// A SPIFFE Workload API server on a Unix socket: real gRPC, the published proto, bundles alone. For tests and for trying
// things out where no SPIRE agent runs.
import { fileURLToPath } from 'node:url'
import {
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceDefinition,
  type StatusObject,
  status,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

/** SPIFFE ID of a trust domain → JWK set as JSON text, or DER certificates one behind the other. */
export interface PublishedBundles {
  readonly jwt: Readonly<Record<string, string>>
  readonly x509: Readonly<Record<string, Buffer>>
}

type Refusal = Pick<StatusObject, 'code' | 'details'>
type BundleStream = ServerWritableStream<object, { bundles: Readonly<Record<string, Buffer>> }>

export interface WorkloadApiServer {
  /** `unix:///path`. */
  readonly socket: string
  /** Streams opened so far. */
  readonly opened: { FetchJWTBundles: number; FetchX509Bundles: number }
  /** Streams that stand now. */
  listeners(): number
  /** Streams it to everyone who listens, and to everyone who comes. */
  publish(bundles: PublishedBundles): void
  /** Ends every stream and, until told null, answers this to new ones. */
  refuse(refusal: Refusal | null): void
  /** Ends every connection and removes the socket. */
  stop(): void
}

const proto = fileURLToPath(new URL('../../../src/identity/workload.proto', import.meta.url))
const service = loadSync(proto, { keepCase: true }).SpiffeWorkloadAPI as ServiceDefinition

/** Serves on `path`, which must not exist yet. */
export async function startWorkloadApi(path: string, first: PublishedBundles): Promise<WorkloadApiServer> {
  const socket = `unix://${path}`
  const opened = { FetchJWTBundles: 0, FetchX509Bundles: 0 }
  const streams = new Map<BundleStream, () => void>()
  let published = first
  let refusal: Refusal | null = null
  const serve = (method: keyof typeof opened, pick: () => Readonly<Record<string, Buffer>>) => (call: BundleStream) => {
    opened[method] += 1
    // SPIFFE_Workload_Endpoint.md section 3.
    const isMarked = call.metadata.get('workload.spiffe.io').join() === 'true'
    const wrong = isMarked
      ? refusal
      : { code: status.INVALID_ARGUMENT, details: 'security header missing from request' }
    if (wrong !== null) {
      call.emit('error', wrong)
      return
    }
    const send = () => call.write({ bundles: pick() })
    streams.set(call, send)
    call.on('cancelled', () => streams.delete(call))
    send()
  }
  const server = new Server()
  server.addService(service, {
    FetchJWTBundles: serve('FetchJWTBundles', () =>
      Object.fromEntries(Object.entries(published.jwt).map(([id, text]) => [id, Buffer.from(text)])),
    ),
    FetchX509Bundles: serve('FetchX509Bundles', () => published.x509),
  })
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(socket, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    )
  })
  return {
    socket,
    opened,
    listeners: () => streams.size,
    publish(bundles) {
      published = bundles
      for (const send of streams.values()) send()
    },
    refuse(next) {
      refusal = next
      for (const call of streams.keys()) call.end()
      streams.clear()
    },
    stop: () => server.forceShutdown(),
  }
}
