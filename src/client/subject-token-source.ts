// Where the workload's own token comes from. The first that is there is used, and it is read anew for every call: the
// tokens live for minutes and the files rotate.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { ClientError } from './client-error.js'
import { callHttp, parseServiceUrl } from './http-json.js'

export interface SubjectTokenSource {
  /** For messages: `HALLPASS_TOKEN_FILE`, `GitHub Actions`, ... */
  readonly name: string
  /** A token that is valid now. Throws ClientError `no_subject_token` or `unavailable`. */
  read(): Promise<string>
}

export type Environment = Readonly<Record<string, string | undefined>>

export interface TokenSearch {
  environment: Environment
  /** The audience that the broker takes; asked only where a token is made for us on demand. */
  findAudience: () => Promise<string>
  /** A person's own login at this broker (`hallpass login`), where there is one. */
  login?: SubjectTokenSource | null
  /** Where Kubernetes projects the token. */
  kubernetesTokenFile?: string
}

const projectedToken = '/var/run/secrets/hallpass/token'
const maxTokenBytes = 16 * 1024

// Services that trust the same issuers. A false or broken-into broker could name one of them as "its" audience and use
// the token that it is sent there. Not a full list; the full answer is that only a trusted broker's URL is configured.
const othersAudiences = [
  /^sts\.amazonaws\.com/,
  /^api:\/\//i,
  /iam\.googleapis\.com/,
  /^sigstore$/,
  /^https?:\/\/(\w+\.)?github\.com/,
]

/** Picks the source. It throws only when read, so that commands that need no identity work without one. */
export function findSubjectTokenSource(search: TokenSearch): SubjectTokenSource {
  const { environment } = search
  // Whoever hands a part of the work to a sub-agent means that it has no more than this, whatever else lies around.
  const handed = environment.HALLPASS_DELEGATION_TOKEN
  if (isSet(handed)) return tokenOf('HALLPASS_DELEGATION_TOKEN', async () => handed)
  const given = environment.HALLPASS_TOKEN
  if (isSet(given)) return tokenOf('HALLPASS_TOKEN', async () => given)
  const file = environment.HALLPASS_TOKEN_FILE
  if (isSet(file)) return tokenOf('HALLPASS_TOKEN_FILE', () => readTokenFile(file))
  if (search.login) return search.login
  const { ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer } = environment
  if (isSet(url) && isSet(bearer)) {
    return tokenOf('GitHub Actions', async () => fetchGitHubToken(url, bearer, await search.findAudience()))
  }
  const gitlab = environment.HALLPASS_ID_TOKEN
  if (isSet(gitlab)) return tokenOf('HALLPASS_ID_TOKEN', async () => gitlab)
  const projected = search.kubernetesTokenFile ?? projectedToken
  if (existsSync(projected)) return tokenOf('Kubernetes', () => readTokenFile(projected))
  const { SPIFFE_ENDPOINT_SOCKET: socket } = environment
  if (isSet(socket)) {
    return tokenOf('the SPIFFE Workload API', async () => fetchSvid(socket, await search.findAudience()))
  }
  return { name: 'none', read: () => Promise.reject(noToken(projected, environment)) }
}

/** Whether the source found above gives fresh tokens for as long as we run, in the same order. One in the environment runs out. */
export function isRenewable(environment: Environment): boolean {
  if (isSet(environment.HALLPASS_DELEGATION_TOKEN) || isSet(environment.HALLPASS_TOKEN)) return false
  if (isSet(environment.HALLPASS_TOKEN_FILE)) return true
  if (isSet(environment.ACTIONS_ID_TOKEN_REQUEST_URL) && isSet(environment.ACTIONS_ID_TOKEN_REQUEST_TOKEN)) return true
  return !isSet(environment.HALLPASS_ID_TOKEN)
}

/** For the SDK: one fixed token, or a function that gets one. */
export function subjectTokenFrom(read: () => string | Promise<string>): SubjectTokenSource {
  return tokenOf('the given source', async () => read())
}

function tokenOf(name: string, read: () => Promise<string>): SubjectTokenSource {
  return { name, read: async () => parseToken(await read(), name) }
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== ''
}

/** Whitespace around it goes (a file's last newline); whitespace inside would be a second header line and is refused. */
function parseToken(text: string, name: string): string {
  const token = text.trim()
  if (token === '') throw new ClientError('no_subject_token', `${name} holds no token`)
  if (Buffer.byteLength(token) > maxTokenBytes)
    throw new ClientError('no_subject_token', `${name} holds more than 16 KiB`)
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new ClientError('no_subject_token', `${name} holds something that is no token`)
  return token
}

async function readTokenFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new ClientError('no_subject_token', `the token file ${path} cannot be read`, { cause: error })
  }
}

function checkAudience(audience: string): void {
  if (othersAudiences.some((pattern) => pattern.test(audience))) {
    throw new ClientError('invalid_answer', `the broker asks for a token for ${audience}, which is not its own`)
  }
}

async function fetchSvid(socket: string, audience: string): Promise<string> {
  checkAudience(audience)
  // gRPC is loaded only where an agent is asked: it is a large part of a start.
  const { fetchJwtSvid } = await import('./workload-api.js')
  return await fetchJwtSvid(socket, audience)
}

async function fetchGitHubToken(requestUrl: string, bearer: string, audience: string): Promise<string> {
  checkAudience(audience)
  const url = parseServiceUrl(requestUrl, 'ACTIONS_ID_TOKEN_REQUEST_URL')
  url.searchParams.set('audience', audience)
  const headers = { authorization: `Bearer ${bearer}` }
  const answer = await callHttp({ method: 'GET', url, headers, timeoutMs: 10_000, maxBytes: 64 * 1024 })
  if (answer.status !== 200) {
    throw new ClientError('no_subject_token', `GitHub Actions answered ${answer.status} when asked for an ID token`)
  }
  try {
    return z.object({ value: z.string() }).parse(JSON.parse(answer.text)).value
  } catch (error) {
    throw new ClientError('no_subject_token', 'GitHub Actions answered without an ID token', { cause: error })
  }
}

function noToken(projected: string, environment: Environment): ClientError {
  const actions = isSet(environment.GITHUB_ACTIONS)
    ? 'GitHub Actions (the job lacks `permissions: id-token: write`)'
    : 'GitHub Actions (ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN)'
  return new ClientError(
    'no_subject_token',
    `nothing here says who you are: looked for HALLPASS_TOKEN, HALLPASS_TOKEN_FILE, hallpass login, ${actions}, ` +
      `GitLab (HALLPASS_ID_TOKEN), Kubernetes (${projected}) and the SPIFFE Workload API (SPIFFE_ENDPOINT_SOCKET)`,
  )
}
