// The login that `hallpass login` has kept, as a source of subject tokens. Renewed with its refresh token where it has one.
import { open, rm, stat } from 'node:fs/promises'
import type { Clock } from '../core/clock.js'
import { ClientError } from './client-error.js'
import { hasSession, type LoginSession, readSession, sessionPath, writeSession } from './login-session.js'
import type { Environment, SubjectTokenSource } from './subject-token-source.js'

/** A token with less left than this would end on its way, or behind a clock of the broker's. */
const marginMs = 20_000

/** Null where nobody has logged in at this broker. Throws when read: ClientError `no_subject_token` once the login is over. */
export function findStoredLogin(environment: Environment, brokerUrl: string, clock: Clock): SubjectTokenSource | null {
  const path = sessionPath(environment, brokerUrl)
  if (path === null || !hasSession(path)) return null
  return { name: 'hallpass login', read: () => readStored(path, brokerUrl, clock) }
}

async function readStored(path: string, brokerUrl: string, clock: Clock): Promise<string> {
  const kept = await readSession(path, brokerUrl)
  if (kept !== null && isLive(kept, clock)) return kept.token
  if (kept === null || kept.refresh_token === null) throw ended(brokerUrl, kept)
  // A refresh token that is used twice is taken for stolen by many issuers (RFC 9700 section 4.14.2): one command at a time.
  return await alone(`${path}.lock`, clock, async () => {
    const again = await readSession(path, brokerUrl)
    if (again !== null && isLive(again, clock)) return again.token
    if (again === null || again.refresh_token === null) throw ended(brokerUrl, again)
    return await renew(path, brokerUrl, again, again.refresh_token, clock)
  })
}

async function renew(path: string, brokerUrl: string, kept: LoginSession, refresh: string, clock: Clock) {
  const { refreshLogin } = await import('./oidc-login.js')
  const { token, expiresAt, refreshToken } = await refreshLogin(kept.login, refresh, clock).catch((error: unknown) => {
    if (error instanceof ClientError && error.code === 'login_failed') throw ended(brokerUrl, kept, error)
    throw error
  })
  const expires_at = new Date(expiresAt).toISOString()
  await writeSession(path, { ...kept, token, expires_at, refresh_token: refreshToken })
  return token
}

const isLive = (kept: LoginSession, clock: Clock) => Date.parse(kept.expires_at) - clock.now() > marginMs

function ended(brokerUrl: string, kept: LoginSession | null, cause?: unknown): ClientError {
  const when = kept === null ? 'is gone' : `ended at ${kept.expires_at}`
  return new ClientError('no_subject_token', `your login at ${brokerUrl} ${when}: run hallpass login`, { cause })
}

const waitMs = 20_000
/** Longer than a refresh may take: who holds it then is dead. */
const staleMs = 60_000

async function alone<T>(lock: string, clock: Clock, work: () => Promise<T>): Promise<T> {
  const end = clock.monotonic() + waitMs
  while (!(await takes(lock, clock))) {
    if (clock.monotonic() > end) throw new ClientError('unavailable', `another command is renewing the login (${lock})`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  try {
    return await work()
  } finally {
    await rm(lock, { force: true })
  }
}

async function takes(lock: string, clock: Clock): Promise<boolean> {
  try {
    await (await open(lock, 'wx', 0o600)).close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const age = clock.now() - ((await stat(lock).catch(() => null))?.mtimeMs ?? clock.now())
  if (age > staleMs) await rm(lock, { force: true })
  return false
}
