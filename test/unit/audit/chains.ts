// Real chains for the tests of this folder: written by the real writer, with real keys, in a folder of their own.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AuditLog, openAuditLog } from '../../../src/audit/audit-log.js'
import type { AuditLogOptions } from '../../../src/audit/audit-log-options.js'
import type { SignCheckpoint } from '../../../src/audit/checkpoints.js'
import type { VerifyCheckpoint } from '../../../src/audit/read-checkpoints.js'
import { type AuditVerification, verifyAuditDirectory } from '../../../src/audit/verify-chain.js'
import { systemClock } from '../../../src/core/clock.js'
import { createCheckpointSigner, createCheckpointVerifier } from '../../../src/signing/checkpoint-tokens.js'
import { openFileKeyset } from '../../../src/signing/file-keyset.js'
import { createMissingKeys } from '../../../src/signing/key-rotation.js'

export interface AuditGround {
  directory: string
  verifyCheckpoint: VerifyCheckpoint
  signCheckpoint: SignCheckpoint
  open(overrides?: Partial<AuditLogOptions>): Promise<AuditLog>
  verify(directory?: string): Promise<AuditVerification>
  /** A copy of one chain's folder, to be broken. */
  copy(): Promise<string>
  remove(): Promise<void>
}

/** A directory for audits with keys of its own. */
export async function createAuditGround(): Promise<AuditGround> {
  const root = await mkdtemp(join(tmpdir(), 'hallpass-audit-'))
  const directory = join(root, 'audit')
  await createMissingKeys(join(root, 'keys'), systemClock)
  const keyset = await openFileKeyset({ directory: join(root, 'keys'), purposes: ['audit'] })
  keyset.close()
  const verifyCheckpoint = createCheckpointVerifier(keyset.publicKeys('audit'))
  const signCheckpoint = createCheckpointSigner(keyset, 'https://hallpass.test')
  let copies = 0
  return {
    directory,
    verifyCheckpoint,
    signCheckpoint,
    open: (overrides = {}) =>
      openAuditLog({
        directory,
        instance: 'one',
        program: 'serve',
        clock: systemClock,
        signCheckpoint,
        waitMs: 15_000,
        ...overrides,
      }),
    verify: (of = directory) => verifyAuditDirectory(of, { verifyCheckpoint }),
    copy: async () => {
      const to = join(root, `copy-${copies++}`, 'one-serve')
      await cp(join(directory, 'one-serve'), to, { recursive: true, filter: (path) => !path.endsWith('.sock') })
      return to
    },
    remove: () => rm(root, { recursive: true, force: true }),
  }
}

export async function appendMany(log: AuditLog, count: number): Promise<number[]> {
  const one = (n: number) =>
    log.append({ event: 'task.opened', principal: `ci:job-${n}`, purpose: 'émoji 🙂 "quoted"', n })
  return Promise.all(Array.from({ length: count }, (_, n) => one(n)))
}

export async function readFileLines(path: string): Promise<Buffer[]> {
  const bytes = await readFile(path)
  const lines: Buffer[] = []
  for (let at = 0, end = bytes.indexOf(0x0a); end >= 0; at = end + 1, end = bytes.indexOf(0x0a, at)) {
    lines.push(bytes.subarray(at, end))
  }
  return lines
}

export async function writeFileLines(path: string, lines: readonly Buffer[]): Promise<void> {
  await writeFile(path, Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')])))
}
