// The SPIFFE Workload API over a Unix socket: one stream of one method, opened again with back-off whenever it ends.
import { fileURLToPath } from 'node:url'
import {
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

/** The answer's `bundles`: SPIFFE ID of a trust domain → JWK set, or DER certificates. */
export type Bundles = Readonly<Record<string, Uint8Array>>
export type BundleMethod = 'FetchJWTBundles' | 'FetchX509Bundles'

interface StreamEvents {
  /** All bundles as they are now: what is not among them is no more. */
  bundles(bundles: Bundles): void
  /** The stream could not be had or ended; it is opened again by itself. */
  ended(problem: string): void
}

const firstRetryMs = 500
const lastRetryMs = 15_000

// One socket, one call: reconnecting is ours to time, and no other stream's failure delays this one.
const channelOptions = {
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_http_proxy': 0,
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  // The authority of a Unix socket says nothing, and a path is not a valid one.
  'grpc.default_authority': 'localhost',
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
  // Notices an agent that is stopped but not gone. Go's servers end a connection that asks more often than each 5 minutes.
  'grpc.keepalive_time_ms': 360_000,
  'grpc.keepalive_timeout_ms': 20_000,
}

const service = loadSync(fileURLToPath(new URL('./workload.proto', import.meta.url)), {
  keepCase: true,
}).SpiffeWorkloadAPI as ServiceDefinition

/** Opens the stream and keeps it open until the returned function is called. `socket` is `unix:///path`. */
export function subscribe(socket: string, method: BundleMethod, events: StreamEvents): () => void {
  let isClosed = false
  let failures = 0
  let open: Attempt | null = null
  let timer: NodeJS.Timeout | undefined
  const start = () => {
    open = openStream(socket, method, {
      bundles(bundles) {
        failures = 0
        events.bundles(bundles)
      },
      ended(problem) {
        if (isClosed) return
        // Spread, so that many brokers on one host do not come back to their agent in step.
        const waitMs = Math.min(firstRetryMs * 2 ** failures, lastRetryMs) * (0.5 + Math.random() / 2)
        failures += 1
        timer = setTimeout(start, waitMs)
        timer.unref()
        events.ended(problem)
      },
    })
  }
  start()
  return () => {
    isClosed = true
    clearTimeout(timer)
    open?.close()
  }
}

interface Attempt {
  close(): void
}

function openStream(socket: string, method: BundleMethod, events: StreamEvents): Attempt {
  const client = new Client(socket, credentials.createInsecure(), channelOptions)
  const { path, requestSerialize, responseDeserialize } = service[method] as MethodDefinition<
    object,
    { bundles?: Bundles }
  >
  // SPIFFE_Workload_Endpoint.md section 3: keeps a browser or a proxy from being led here (SSRF).
  const metadata = new Metadata()
  metadata.set('workload.spiffe.io', 'true')
  const stream: ClientReadableStream<{ bundles?: Bundles }> = client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    {},
    metadata,
  )
  let hasEnded = false
  const end = (problem: string) => {
    if (hasEnded) return
    hasEnded = true
    client.close()
    events.ended(`${socket} ${method}: ${problem}`)
  }
  stream.on('data', (response) => events.bundles(response.bundles ?? {}))
  stream.on('error', (error: ServiceError) => end(error.details || error.message))
  stream.on('end', () => end('the stream ended'))
  return {
    close() {
      stream.cancel()
      client.close()
    },
  }
}
