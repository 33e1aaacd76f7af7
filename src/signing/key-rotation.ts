// Making and rotating the key files. Whoever caches what we publish knows a key as `next` before anything is signed with
// it, and as `retired` for as long as anything signed with it may live.
import { exportJWK, generateKeyPair } from 'jose'
import { type Clock, toTimestamp } from '../core/clock.js'
import { type KeyEntry, KeyFileError, keyFilePath, readKeyFile, thumbprintOf, writeKeyFile } from './key-file.js'
import { type KeyPurpose, keyPurposes } from './keyset.js'

/** Retired keys are published this long; nothing that we sign lives as long. Audit keys stay for ever: so do checkpoints. */
export const retiredKeyDays = 30
const dayMs = 86_400_000

/** Verifiers refetch a key set within this time; a key that was published for less may be unknown to some. */
export const publishedBeforeUseSeconds = 3600

export interface CreatedKeys {
  readonly purpose: KeyPurpose
  readonly path: string
  /** Which were missing and are there now; empty where nothing was. */
  readonly created: readonly ('current' | 'next')[]
}

/** Makes whatever keys are missing, purpose by purpose, and leaves the others as they are. Throws KeyFileError. */
export async function createMissingKeys(directory: string, clock: Clock): Promise<CreatedKeys[]> {
  const results: CreatedKeys[] = []
  for (const purpose of keyPurposes) results.push(await createMissingKeysOf(directory, purpose, clock))
  return results
}

async function createMissingKeysOf(directory: string, purpose: KeyPurpose, clock: Clock): Promise<CreatedKeys> {
  const path = keyFilePath(directory, purpose)
  const existing = await readExisting(path)
  const created: ('current' | 'next')[] = []
  const keys = [...(existing ?? [])]
  for (const status of ['current', 'next'] as const) {
    if (keys.some((key) => key.status === status)) continue
    keys.push(await createKey(status, clock))
    created.push(status)
  }
  if (created.length === 0) return { purpose, path, created }
  try {
    await writeKeyFile(path, keys, existing ? 'replace' : 'create')
  } catch (error) {
    // Another program made them in this very moment: those are the keys, ours were never used.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return { purpose, path, created: [] }
    throw error
  }
  return { purpose, path, created }
}

async function readExisting(path: string): Promise<KeyEntry[] | null> {
  try {
    return (await readKeyFile(path)).keys
  } catch (error) {
    if (error instanceof KeyFileError && error.message.includes('is missing')) return null
    throw error
  }
}

export interface RotatedKeys {
  readonly purpose: KeyPurpose
  readonly current: string
  readonly next: string
  readonly retired: string
  readonly dropped: readonly string[]
  /** How long the key that signs from now on was published before. */
  readonly publishedForSeconds: number
}

/** next → current → retired, and a new next. Running programs see it within seconds. Throws KeyFileError. */
export async function rotateKeys(directory: string, purpose: KeyPurpose, clock: Clock): Promise<RotatedKeys> {
  const path = keyFilePath(directory, purpose)
  const { keys } = await readKeyFile(path)
  const current = keys.find((key) => key.status === 'current')
  const next = keys.find((key) => key.status === 'next')
  if (!current || !next)
    throw new KeyFileError(path, 'has no current or no next key: `hallpass keys create` makes what is missing')
  const now = clock.now()
  const { d: _private, ...publicPart } = current
  const retired: KeyEntry = { ...publicPart, status: 'retired', retired_at: toTimestamp(now) }
  const older = keys.filter((key) => key.status === 'retired')
  const kept = older.filter(
    (key) => purpose === 'audit' || now - Date.parse(key.retired_at ?? '') < retiredKeyDays * dayMs,
  )
  const fresh = await createKey('next', clock)
  await writeKeyFile(path, [{ ...next, status: 'current' }, fresh, retired, ...kept], 'replace')
  return {
    purpose,
    current: next.kid,
    next: fresh.kid,
    retired: retired.kid,
    dropped: older.filter((key) => !kept.includes(key)).map((key) => key.kid),
    publishedForSeconds: Math.floor((now - Date.parse(next.created_at)) / 1000),
  }
}

async function createKey(status: 'current' | 'next', clock: Clock): Promise<KeyEntry> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const { x, y, d } = await exportJWK(privateKey)
  if (x === undefined || y === undefined || d === undefined) throw new Error('an EC key without its coordinates')
  const kid = await thumbprintOf({ x, y })
  return {
    kty: 'EC',
    crv: 'P-256',
    x,
    y,
    d,
    kid,
    alg: 'ES256',
    use: 'sig',
    status,
    created_at: toTimestamp(clock.now()),
  }
}
