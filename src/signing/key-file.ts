// One purpose's keys on disk: `<purpose>.jwks.json`, a JWK set (RFC 7517) whose entries also say what they are for now.
// Private parts stay with current and next; a retired key only verifies.
import { randomBytes } from 'node:crypto'
import { link, open, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { calculateJwkThumbprint } from 'jose'
import { z } from 'zod'
import { makeFolder } from '../core/make-folder.js'
import { syncDirectory } from '../core/sync-directory.js'
import type { KeyPurpose } from './keyset.js'

const coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/)

const keyEntry = z
  .strictObject({
    kty: z.literal('EC'),
    crv: z.literal('P-256'),
    x: coordinate,
    y: coordinate,
    d: coordinate.optional(),
    /** RFC 7638 thumbprint. */
    kid: coordinate,
    alg: z.literal('ES256'),
    use: z.literal('sig'),
    status: z.enum(['next', 'current', 'retired']),
    /** RFC 3339. */
    created_at: z.string(),
    retired_at: z.string().optional(),
  })
  .refine((key) => key.status === 'retired' || key.d !== undefined, 'a key that is to sign needs its private part')

const keyFile = z.strictObject({ keys: z.array(keyEntry) })

export type KeyEntry = z.output<typeof keyEntry>

/** Why a key file cannot be used. Never quotes its content. */
export class KeyFileError extends Error {
  constructor(path: string, what: string) {
    super(`${path}: ${what}`)
    this.name = 'KeyFileError'
  }
}

/** Where the keys of one purpose lie. */
export function keyFilePath(directory: string, purpose: KeyPurpose): string {
  return join(directory, `${purpose}.jwks.json`)
}

/** What tells one content of a file from another without reading it: a rename makes a new inode. */
export interface ReadKeyFile {
  readonly keys: KeyEntry[]
  readonly version: string
}

/** Reads and checks a key file. Throws KeyFileError, also when others than its owner may read or write it. */
export async function readKeyFile(path: string): Promise<ReadKeyFile> {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new KeyFileError(
      path,
      error.code === 'ENOENT' ? 'is missing: `hallpass keys create` makes it' : `${error.code}`,
    )
  })
  try {
    const stats = await handle.stat()
    if ((stats.mode & 0o077) !== 0) {
      throw new KeyFileError(path, `others may read or write it (mode ${(stats.mode & 0o777).toString(8)}): chmod 600`)
    }
    const keys = await parseKeyFile(path, await handle.readFile('utf8'))
    return { keys, version: fileVersion(stats) }
  } finally {
    await handle.close()
  }
}

export function fileVersion(stats: { ino: number; mtimeMs: number; size: number; mode: number }): string {
  return `${stats.ino}.${stats.mtimeMs}.${stats.size}.${stats.mode}`
}

async function parseKeyFile(path: string, text: string): Promise<KeyEntry[]> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new KeyFileError(path, 'is not JSON')
  }
  const parsed = keyFile.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new KeyFileError(path, `is not a set of our keys: ${issue?.path.join('.')}: ${issue?.message}`)
  }
  const { keys } = parsed.data
  for (const status of ['current', 'next'] as const) {
    if (keys.filter((key) => key.status === status).length > 1) throw new KeyFileError(path, `has two ${status} keys`)
  }
  for (const key of keys) {
    if ((await thumbprintOf(key)) !== key.kid) throw new KeyFileError(path, `key ${key.kid} is not what its kid says`)
  }
  return keys
}

/** RFC 7638: of the public part's required members alone. */
export async function thumbprintOf(key: { x: string; y: string }): Promise<string> {
  return calculateJwkThumbprint({ kty: 'EC', crv: 'P-256', x: key.x, y: key.y })
}

/** Writes a key file whole or not at all: readers see the old one or the new one, also after a power cut. */
export async function writeKeyFile(path: string, keys: readonly KeyEntry[], mode: 'create' | 'replace'): Promise<void> {
  await makeFolder(dirname(path))
  const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(`${JSON.stringify({ keys }, null, 2)}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  try {
    // link refuses to replace: of two programs that create keys at once, one's are kept and never half of each.
    if (mode === 'create') await link(draft, path)
    else await rename(draft, path)
  } finally {
    await unlink(draft).catch(() => {})
  }
  await syncDirectory(dirname(path))
}
