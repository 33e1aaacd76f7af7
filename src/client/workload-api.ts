// A JWT-SVID of this very process from the SPIFFE Workload API: the agent tells by the socket who asks, so nothing is kept.
import { fileURLToPath } from 'node:url'
import {
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { systemClock } from '../core/clock.js'
import { isLoopbackHost } from '../core/settings.js'
import { ClientError } from './client-error.js'

const timeoutMs = 10_000
const maxAnswerBytes = 1024 * 1024

interface JwtSvids {
  svids?: readonly { spiffe_id?: string; svid?: string }[]
}

const service = loadSync(fileURLToPath(new URL('../identity/workload.proto', import.meta.url)), {
  keepCase: true,
}).SpiffeWorkloadAPI as ServiceDefinition

/**
 * Asks the agent at `socket` (SPIFFE_ENDPOINT_SOCKET) for a token for `audience`; of several identities the first, which is the
 * default one. Throws ClientError `invalid_configuration`, `no_subject_token` (we have no identity there), `unavailable`.
 */
export async function fetchJwtSvid(socket: string, audience: string): Promise<string> {
  const client = new Client(targetOf(socket), credentials.createInsecure(), {
    'grpc.enable_http_proxy': 0,
    // The authority of a Unix socket says nothing, and a path is not a valid one.
    'grpc.default_authority': 'localhost',
    'grpc.max_receive_message_length': maxAnswerBytes,
  })
  try {
    const { svids = [] } = await call(client, audience)
    const token = svids[0]?.svid
    if (token === undefined || token === '') throw new ClientError('no_subject_token', `${socket} gave no JWT-SVID`)
    return token
  } catch (error) {
    throw error instanceof ClientError ? error : asClientError(error as ServiceError, socket)
  } finally {
    client.close()
  }
}

function call(client: Client, audience: string): Promise<JwtSvids> {
  const { path, requestSerialize, responseDeserialize } = service.FetchJWTSVID as MethodDefinition<object, JwtSvids>
  // SPIFFE_Workload_Endpoint.md section 3: keeps a browser or a proxy from being led here (SSRF).
  const metadata = new Metadata()
  metadata.set('workload.spiffe.io', 'true')
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { audience: [audience] },
      metadata,
      { deadline: systemClock.now() + timeoutMs },
      (error, answer) => (error ? reject(error) : resolve(answer ?? {})),
    )
  })
}

/** SPIFFE_Workload_Endpoint.md section 4: a Unix socket by its absolute path, or an address; over a network it would be no proof. */
function targetOf(socket: string): string {
  const [, path] = /^unix:(?:\/\/)?(\/(?!\/)[^?#\0]+)$/.exec(socket) ?? []
  if (path !== undefined) return `unix://${path}`
  const [, host = '', port] = /^tcp:\/\/(\[[0-9a-fA-F:]+\]|[0-9.]+):([0-9]{1,5})$/.exec(socket) ?? []
  if (port !== undefined && isLoopbackHost(host)) return `${host}:${port}`
  throw new ClientError(
    'invalid_configuration',
    'SPIFFE_ENDPOINT_SOCKET: expected unix:///path of an agent’s socket (or tcp:// with a loopback address)',
  )
}

function asClientError(error: ServiceError, socket: string): ClientError {
  const why = error.details || error.message
  const isOurs = error.code === status.PERMISSION_DENIED || error.code === status.INVALID_ARGUMENT
  return isOurs
    ? new ClientError('no_subject_token', `the SPIFFE Workload API gives us no identity (${why})`, { cause: error })
    : new ClientError('unavailable', `the SPIFFE Workload API at ${socket} does not answer (${why})`, { cause: error })
}
