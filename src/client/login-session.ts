// A person's login at one broker, in a private file. Whoever can read it can act as that person until the token ends, so
// a file that others may read is not used, and a token is sent to no broker but the one it was made for.
import { constants, existsSync } from 'node:fs'
import { chmod, open, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { sha256Hex } from '../core/hash.js'
import { makeFolder } from '../core/make-folder.js'
import { publishedLogin } from './broker-metadata.js'
import { ClientError } from './client-error.js'
import { parseServiceUrl } from './http-json.js'
import type { Environment } from './subject-token-source.js'

const session = z.strictObject({
  /** The broker's URL as `brokerKey` writes it. */
  broker: z.string(),
  login: publishedLogin,
  /** What is shown to the broker. */
  token: z.string().min(1),
  expires_at: z.iso.datetime(),
  refresh_token: z.string().min(1).nullable(),
})
export type LoginSession = z.infer<typeof session>

/** Where the login at this broker is kept, or null where there is no folder of the user's. Throws ClientError for a bad URL. */
export function sessionPath(environment: Environment, brokerUrl: string): string | null {
  const { XDG_STATE_HOME: state, HOME: home } = environment
  // The XDG specification: a path that is not absolute is to be ignored.
  const base = state?.startsWith('/') ? state : home?.startsWith('/') ? join(home, '.local', 'state') : null
  if (base === null) return null
  return join(base, 'hallpass', `login-${sha256Hex(brokerKey(brokerUrl)).slice(0, 32)}.json`)
}

/** One spelling per broker. */
export function brokerKey(brokerUrl: string): string {
  const { origin, pathname } = parseServiceUrl(brokerUrl, 'the broker URL')
  return `${origin}${pathname.replace(/\/+$/, '')}`
}

/** Without looking into it: cheap, for every command. */
export const hasSession = (path: string): boolean => existsSync(path)

/** Null when there is none. Throws ClientError `no_subject_token` for a file that others may read, or that is not ours. */
export async function readSession(path: string, brokerUrl: string): Promise<LoginSession | null> {
  // Not through a link: what is checked is what is read.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw unusable(path, 'cannot be read', error)
  })
  if (file === null) return null
  try {
    const { mode, uid, size } = await file.stat()
    if ((mode & 0o077) !== 0 || uid !== (process.getuid?.() ?? uid)) throw unusable(path, 'may be read by others')
    if (size > maxBytes) throw unusable(path, 'is no login of ours')
    const parsed = session.safeParse(parseJson(await file.readFile('utf8')))
    if (!parsed.success || parsed.data.broker !== brokerKey(brokerUrl)) throw unusable(path, 'is no login of ours')
    return parsed.data
  } finally {
    await file.close()
  }
}

const maxBytes = 128 * 1024

/** Whole or not at all: a new private file takes the old one's place. */
export async function writeSession(path: string, content: LoginSession): Promise<void> {
  const folder = join(path, '..')
  await makeFolder(folder)
  if (((await stat(folder)).mode & 0o077) !== 0) await chmod(folder, 0o700)
  const fresh = `${path}.${process.pid}.new`
  await rm(fresh, { force: true })
  const file = await open(fresh, 'wx', 0o600)
  try {
    await file.writeFile(`${JSON.stringify(content, null, 2)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(fresh, path)
}

/** Whether there was one. */
export async function removeSession(path: string): Promise<boolean> {
  const had = hasSession(path)
  await rm(path, { force: true })
  return had
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const unusable = (path: string, why: string, cause?: unknown) =>
  new ClientError('no_subject_token', `${path} ${why}: remove it and run hallpass login`, { cause })
