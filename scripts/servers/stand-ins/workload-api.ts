// A SPIFFE Workload API server on a Unix socket: real gRPC, the published proto, bundles and JWT-SVIDs. For tests and for
// trying things out where no SPIRE agent runs.
import { fileURLToPath } from 'node:url'
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type StatusObject,
  type sendUnaryData,
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

/** The tokens of whoever asks, the default one first; none: no identity was registered for it. */
export type IssueSvids = (audience: readonly string[]) => Promise<readonly { spiffe_id: string; svid: string }[]>

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

// SPIFFE_Workload_Endpoint.md section 3.
const isMarked = ({ metadata }: { metadata: Metadata }) => metadata.get('workload.spiffe.io').join() === 'true'
const unmarked = { code: status.INVALID_ARGUMENT, details: 'security header missing from request' }
/** As SPIRE's agent says it. */
const noIdentity = { code: status.PERMISSION_DENIED, details: 'no identity issued' }

/** Serves on `path`, which must not exist yet. */
export async function startWorkloadApi(
  path: string,
  first: PublishedBundles,
  issue: IssueSvids = async () => [],
): Promise<WorkloadApiServer> {
  const socket = `unix://${path}`
  const opened = { FetchJWTBundles: 0, FetchX509Bundles: 0 }
  const streams = new Map<BundleStream, () => void>()
  let published = first
  let refusal: Refusal | null = null
  const serve = (method: keyof typeof opened, pick: () => Readonly<Record<string, Buffer>>) => (call: BundleStream) => {
    opened[method] += 1
    const wrong = isMarked(call) ? refusal : unmarked
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
    FetchJWTSVID: (call: ServerUnaryCall<{ audience: string[] }, object>, answer: sendUnaryData<object>) => {
      const wrong = isMarked(call) ? refusal : unmarked
      if (wrong !== null) return answer(wrong)
      issue(call.request.audience).then(
        (svids) => answer(svids.length > 0 ? null : noIdentity, { svids }),
        (error: Error) => answer({ code: status.UNKNOWN, details: error.message }),
      )
    },
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
