// Which version of Hallpass this is.
import { readFileSync } from 'node:fs'

/** From the package.json that this program was shipped with; two folders up in the build, one in the sources. */
export const version: string = readVersion([
  new URL('../../package.json', import.meta.url),
  new URL('../package.json', import.meta.url),
])

function readVersion(candidates: readonly URL[]): string {
  for (const candidate of candidates) {
    try {
      const manifest = JSON.parse(readFileSync(candidate, 'utf8')) as { name?: string; version?: string }
      if (manifest.name === 'hallpass' && manifest.version !== undefined) return manifest.version
    } catch {
      // Not there: the next one.
    }
  }
  return 'unknown'
}
