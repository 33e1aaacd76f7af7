// `hallpass login` and `hallpass logout`: a person's token of an operators' issuer, kept for the commands that follow.
import {
  type BrokerMetadata,
  ClientError,
  createBrokerClient,
  fetchBrokerMetadata,
  type PublishedLogin,
  subjectTokenFrom,
} from '../client/index.js'
import { brokerKey, readSession, removeSession, sessionPath, writeSession } from '../client/login-session.js'
import { systemClock, toTimestamp } from '../core/clock.js'
import { parseDuration } from './arguments.js'
import { brokerAddress, type CommandIo, connectBroker } from './connection.js'
import { exitCodes, UsageError } from './exit-codes.js'
import { formatMembers } from './output.js'

export interface LoginOptions {
  device?: boolean
  issuer?: string
  port: string
  timeout: string
}

/** Nothing is kept before the broker has taken the token and said whose it is. */
export async function runLogin(options: LoginOptions, io: CommandIo): Promise<number> {
  const address = brokerAddress(io.environment)
  const path = sessionPath(io.environment, address.url)
  if (path === null) throw new ClientError('invalid_configuration', 'neither XDG_STATE_HOME nor HOME is set')
  const [port, timeoutMs] = [parsePort(options.port), parseDuration(options.timeout, '--timeout') * 1000]
  const login = chooseLogin(await fetchBrokerMetadata(address), options.issuer)
  const { loginByBrowser, loginByDevice } = await import('../client/oidc-login.js')
  const talk = { clock: systemClock, note: (text: string) => noteLines(text, io) }
  const granted = options.device
    ? await loginByDevice(login, talk)
    : await loginByBrowser(login, { port, timeoutMs }, talk)
  const client = createBrokerClient({ ...address, tokenSource: subjectTokenFrom(() => granted.token) })
  const me = await client.whoami()
  const expiresAt = toTimestamp(granted.expiresAt)
  await writeSession(path, {
    broker: brokerKey(address.url),
    login,
    token: granted.token,
    expires_at: expiresAt,
    refresh_token: granted.refreshToken,
  })
  const renewed = granted.refreshToken === null ? '' : '; renewed by itself while the issuer allows it'
  io.output.print(
    { id: me.id, expires_at: expiresAt, renewable: granted.refreshToken !== null, file: path },
    `logged in as ${me.id} until ${expiresAt}${renewed}`,
  )
  if ((io.environment.HALLPASS_TOKEN ?? io.environment.HALLPASS_TOKEN_FILE ?? '') !== '')
    io.output.note('HALLPASS_TOKEN or HALLPASS_TOKEN_FILE is set and goes before this login')
  return exitCodes.done
}

/** Removes what `login` has kept, and tells the issuer where there is a refresh token to be ended. */
export async function runLogout(io: CommandIo): Promise<number> {
  const { url } = brokerAddress(io.environment)
  const path = sessionPath(io.environment, url)
  const kept = path === null ? null : await readSession(path, url).catch(() => null)
  // Ours goes first: a logout that waits for somebody else's server would leave the token if it were interrupted.
  const had = path !== null && (await removeSession(path))
  if (kept?.refresh_token) {
    const { revokeRefreshToken } = await import('../client/oidc-login.js')
    await revokeRefreshToken(kept.login, kept.refresh_token).catch((error: Error) =>
      io.output.note(`the issuer was not told, the refresh token lives on there: ${error.message}`),
    )
  }
  io.output.print({ logged_out: had }, had ? `logged out of ${url}` : `nobody was logged in at ${url}`)
  return exitCodes.done
}

/** Who the broker says we are, with whatever token the other commands would use. */
export async function runWhoami(io: CommandIo): Promise<number> {
  const me = await connectBroker(io.environment).whoami()
  const { attributes, ...rest } = me
  const shown = Object.entries(attributes).map(([name, value]) => [`attributes.${name}`, String(value)])
  io.output.print(me, formatMembers({ ...rest, ...Object.fromEntries(shown) }))
  return exitCodes.done
}

function chooseLogin(broker: BrokerMetadata, name: string | undefined): PublishedLogin {
  const names = broker.login.map((one) => one.name).join(', ')
  if (broker.login.length === 0)
    throw new ClientError('invalid_configuration', 'this broker names no login: its issuers have no `login:` setting')
  const fitting = broker.login.filter((one) => name === undefined || one.name === name)
  const [chosen] = fitting
  if (chosen === undefined) throw new UsageError(`--issuer: expected one of ${names}`)
  if (fitting.length > 1) throw new UsageError(`say where you log in: --issuer with one of ${names}`)
  return chosen
}

function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new UsageError('--port: expected a port from 1 to 65535, or 0 for a free one')
}

/** Line by line: what an issuer answers must not steer the terminal. */
function noteLines(text: string, io: CommandIo): void {
  for (const line of text.split('\n')) io.output.note(line)
}
