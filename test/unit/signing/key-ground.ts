// A folder with real keys for the tests of this folder.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../../src/core/clock.js'

export interface KeyGround {
  directory: string
  now: { ms: number }
  clock: Clock
  remove(): Promise<void>
}

export async function createKeyGround(): Promise<KeyGround> {
  const root = await mkdtemp(join(tmpdir(), 'hallpass-keys-'))
  const now = { ms: Date.UTC(2026, 0, 1) }
  return {
    directory: join(root, 'keys'),
    now,
    clock: { now: () => now.ms, monotonic: () => now.ms },
    remove: () => rm(root, { recursive: true, force: true }),
  }
}
