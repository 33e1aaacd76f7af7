// Where an issuer's keys are (OpenID Connect Discovery 1.0), and the loads behind a KeyCache: by URL and by file.
import { readFile, stat } from 'node:fs/promises'
import type { Clock } from '../core/clock.js'
import { isHttpsOrLoopback } from '../core/settings.js'
import { type KeySet, parseKeySet } from './key-set.js'
import { messageOf } from './remote-document.js'

/** Fetches one JSON document from an issuer; the bounds are already in it. */
export type FetchDocument = (url: string) => Promise<unknown>

const discoveryLifetimeMs = 3_600_000
const maxFileBytes = 1024 * 1024

/** Asks the issuer for its `jwks_uri`. Throws an Error when the document is not this issuer's own or names no sane URL. */
async function discoverKeysUrl(issuer: string, fetchDocument: FetchDocument): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const document = await fetchDocument(url)
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new Error(`${url}: is not a JSON object`)
  }
  const { issuer: named, jwks_uri: keysUrl } = document as Record<string, unknown>
  // Discovery 1.0 section 4.3: exactly equal, or one tenant's document could answer for another's.
  if (named !== issuer) throw new Error(`${url}: names the issuer ${JSON.stringify(named)}, expected "${issuer}"`)
  if (typeof keysUrl !== 'string' || !isHttpsOrLoopback(keysUrl)) {
    throw new Error(`${url}: its jwks_uri is not an https:// URL`)
  }
  return keysUrl
}

/** Loads keys through discovery. The URL found is kept for an hour, or until a load fails. */
export function loadDiscovered(issuer: string, fetchDocument: FetchDocument, clock: Clock): () => Promise<KeySet> {
  let found: { readonly url: string; readonly at: number } | null = null
  const isRecent = (at: number) => clock.now() >= at && clock.now() - at < discoveryLifetimeMs
  return async () => {
    if (found === null || !isRecent(found.at)) {
      found = { url: await discoverKeysUrl(issuer, fetchDocument), at: clock.now() }
    }
    try {
      return await loadFrom(found.url, fetchDocument)
    } catch (error) {
      found = null
      throw error
    }
  }
}

/** Loads keys from a JWKS at a fixed URL. */
export async function loadFrom(url: string, fetchDocument: FetchDocument): Promise<KeySet> {
  const document = await fetchDocument(url)
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new Error(`${url}: is not a JSON object`)
  }
  return parseKeySet(document, 'sig')
}

/** Loads a JSON file, read again only when it changed on disk. A file half written is an error: the last one stays. */
export function loadFile<T>(path: string, parse: (document: unknown) => T): () => Promise<T> {
  let read: { stamp: string; parsed: T } | null = null
  return async () => {
    try {
      const { mtimeMs, ctimeMs, size, ino } = await stat(path)
      if (size > maxFileBytes) throw new Error(`is larger than ${maxFileBytes} bytes`)
      const stamp = `${mtimeMs} ${ctimeMs} ${size} ${ino}`
      if (read?.stamp !== stamp) read = { stamp, parsed: parse(await readJson(path)) }
      return read.parsed
    } catch (error) {
      throw new Error(`${path}: ${messageOf(error)}`, { cause: error })
    }
  }
}

async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8')
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Error('is not JSON', { cause })
  }
}
