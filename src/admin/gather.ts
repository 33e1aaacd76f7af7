// Audit folders → what they tell together. Copies from several hosts are read as one.
import { listChains, readRecords } from '../audit/read-records.js'
import { verifyAuditDirectory } from '../audit/verify-chain.js'
import { AuditProjection } from '../broker/audit-projection.js'

export interface GatheredAudit {
  readonly projection: AuditProjection
  /** Chain → its last sequence. */
  readonly walOf: ReadonlyMap<string, number>
  /** What is wrong with the chains: rebuilt from them all the same, since a gap hides less than nothing does. */
  readonly problems: readonly string[]
}

/** Throws the file system's error, and an Error when there is no audit in one of them. */
export async function gatherAudit(directories: readonly string[]): Promise<GatheredAudit> {
  const projection = new AuditProjection()
  const walOf = new Map<string, number>()
  const problems: string[] = []
  for (const directory of directories) {
    const chains = await listChains(directory)
    if (chains.size === 0) throw new Error(`${directory}: there is no audit here`)
    const { problems: found } = await verifyAuditDirectory(directory)
    problems.push(...found.map(({ file, line, message }) => `${directory}: ${file}:${line}: ${message}`))
    for (const [name, folder] of chains) {
      for await (const record of readRecords(folder)) {
        projection.apply(record)
        walOf.set(record.instance ?? name, Math.max(walOf.get(record.instance ?? name) ?? 0, record.seq))
      }
    }
  }
  return { projection, walOf, problems }
}
