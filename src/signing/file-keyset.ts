// The keyset of a running program: reads the key files, and reads them again when `hallpass keys rotate` changed them.
import { stat } from 'node:fs/promises'
import { createLocalJWKSet, importJWK, type JWK, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import { BrokerError } from '../core/errors.js'
import { fileVersion, type KeyEntry, KeyFileError, keyFilePath, readKeyFile } from './key-file.js'
import { type KeyPurpose, type Keyset, keyPurposes } from './keyset.js'

export interface FileKeysetOptions {
  directory: string
  /** Which purposes this program needs; default all. */
  purposes?: readonly KeyPurpose[]
  /** How often the files are looked at. Default 1 s. */
  pollMs?: number
}

type PrivateKey = Awaited<ReturnType<typeof importJWK>>

interface LoadedKeys {
  readonly version: string
  readonly signingKid: string
  readonly signingKey: PrivateKey
  readonly publicKeys: readonly JWK[]
  readonly resolve: ReturnType<typeof createLocalJWKSet>
}

/** Reads all key files. Throws KeyFileError when one is missing, readable by others, or not what `keys create` makes. */
export async function openFileKeyset(options: FileKeysetOptions): Promise<FileKeyset> {
  const keyset = new FileKeyset(options)
  try {
    await keyset.reload()
  } catch (error) {
    keyset.close()
    throw error
  }
  return keyset
}

export class FileKeyset implements Keyset {
  readonly #directory: string
  readonly #purposes: readonly KeyPurpose[]
  readonly #loaded = new Map<KeyPurpose, LoadedKeys>()
  readonly #timer: NodeJS.Timeout
  /** Why the files could not be read again; the keys read before go on serving. */
  lastError: string | null = null

  /** Use `openFileKeyset`. */
  constructor(options: FileKeysetOptions) {
    this.#directory = options.directory
    this.#purposes = options.purposes ?? keyPurposes
    this.#timer = setInterval(() => {
      this.reload().catch((error: unknown) => {
        this.lastError = error instanceof Error ? error.message : String(error)
      })
    }, options.pollMs ?? 1000)
    this.#timer.unref()
  }

  /** Reads what changed on disk. A file that cannot be used leaves that purpose's keys as they were, and throws at the end. */
  async reload(): Promise<void> {
    const errors: unknown[] = []
    for (const purpose of this.#purposes) await this.#reloadPurpose(purpose).catch((error) => errors.push(error))
    if (errors.length > 0) throw errors[0]
    this.lastError = null
  }

  async #reloadPurpose(purpose: KeyPurpose): Promise<void> {
    const path = keyFilePath(this.#directory, purpose)
    const stats = await stat(path).catch(() => null)
    if (stats && this.#loaded.get(purpose)?.version === fileVersion(stats)) return
    const { keys, version } = await readKeyFile(path)
    this.#loaded.set(purpose, await loadKeys(path, keys, version))
  }

  #keysOf(purpose: KeyPurpose): LoadedKeys {
    const keys = this.#loaded.get(purpose)
    if (!keys) throw new Error(`this program has no ${purpose} keys`)
    return keys
  }

  async sign(purpose: KeyPurpose, typ: string, claims: JWTPayload): Promise<string> {
    const { signingKid, signingKey } = this.#keysOf(purpose)
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: signingKid, typ }).sign(signingKey)
  }

  async verify(
    purpose: KeyPurpose,
    typ: string,
    token: string,
    expected: { issuer: string; audience: string | null; now: number },
  ): Promise<JWTPayload> {
    const { resolve } = this.#keysOf(purpose)
    try {
      const { payload } = await jwtVerify(token, resolve, {
        algorithms: ['ES256'],
        typ,
        issuer: expected.issuer,
        ...(expected.audience === null ? {} : { audience: expected.audience }),
        currentDate: new Date(expected.now),
        requiredClaims: ['exp'],
      })
      return payload
    } catch (error) {
      throw new BrokerError('invalid_token', 'this is no valid token of ours', { cause: error })
    }
  }

  publicKeys(purpose: KeyPurpose): JWK[] {
    return this.#keysOf(purpose).publicKeys.map((key) => ({ ...key }))
  }

  /** Stops looking at the files. */
  close(): void {
    clearInterval(this.#timer)
  }
}

async function loadKeys(path: string, keys: readonly KeyEntry[], version: string): Promise<LoadedKeys> {
  const current = keys.find((key) => key.status === 'current')
  if (!current) throw new KeyFileError(path, 'has no current key: `hallpass keys create` makes one')
  const publicKeys = keys.map(publicPart)
  const signingKey = await importPrivateKey(path, current)
  // Found now and not on the day of the rotation that would sign with it.
  for (const next of keys.filter((key) => key.status === 'next')) await importPrivateKey(path, next)
  return { version, signingKid: current.kid, signingKey, publicKeys, resolve: createLocalJWKSet({ keys: publicKeys }) }
}

/** Throws KeyFileError also where the private part is not the published key's: nobody could verify what it signs. */
async function importPrivateKey(path: string, { kid, x, y, d = '' }: KeyEntry): Promise<PrivateKey> {
  try {
    return await importJWK({ kty: 'EC', crv: 'P-256', x, y, d }, 'ES256')
  } catch (error) {
    throw new KeyFileError(path, `key ${kid} is no key pair (${error instanceof Error ? error.name : 'unknown'})`)
  }
}

/** Member by member, so that nothing private can slip into what is published. */
export function publicPart(key: KeyEntry): JWK {
  return { kty: key.kty, crv: key.crv, x: key.x, y: key.y, kid: key.kid, alg: key.alg, use: key.use }
}
