// How a lease's two JSON texts stand in Redis. They are most of what a live lease costs, and its budget is 1.6 KB with all
// indexes: members that no script reads have short names, and what can be told from the rest is left out.
import type { LeaseRecord } from './lease.js'
import type { Activation } from './way-out.js'

const shortNames: Readonly<Record<string, string>> = {
  above: 'u',
  principal: 'p',
  account: 'n',
  revocation: 'v',
  sessions: 's',
  mark: 'm',
  policies: 'y',
  decision: 'd',
  request: 'q',
  declared: 'e',
  binding: 'b',
}
const longNames: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(shortNames).map(([long, short]) => [short, long]),
)

const renamed = (members: object, names: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(members).map(([name, value]) => [names[name] ?? name, value]))

/** `rec`: without `task`, which is the first of its chain. */
export function storeRecord({ task: _task, ...record }: LeaseRecord): string {
  return JSON.stringify(renamed(record, shortNames))
}

/** The record that `storeRecord` made a text of. */
export function readRecord(text: string): LeaseRecord {
  const record = renamed(JSON.parse(text) as object, longNames) as unknown as LeaseRecord
  return { ...record, task: record.chain[0] ?? '' }
}

type Known = Pick<Activation, 'providerExpiresAt' | 'providerRef' | 'fingerprints'>

/** As `out` has a fingerprint. */
export const storedFingerprint = (digest: string) =>
  isDigest(digest) ? Buffer.from(digest, 'hex').toString('base64url') : digest

/** `out`: [until, reference or 0 where it is the lease's own id, fingerprint …]; hex digests are a third shorter in base64url. */
export function storeActivation(lease: string, known: Known): string {
  const fingerprints = known.fingerprints.map(storedFingerprint)
  return JSON.stringify([known.providerExpiresAt, known.providerRef === lease ? 0 : known.providerRef, ...fingerprints])
}

export function readActivation(lease: string, text: string): Known {
  const [until, ref, ...stored] = JSON.parse(text) as [number, string | 0, ...string[]]
  const fingerprints = stored.map((one) => (one.length === 43 ? Buffer.from(one, 'base64url').toString('hex') : one))
  return { providerExpiresAt: until, providerRef: ref === 0 ? lease : ref, fingerprints }
}

const isDigest = (text: string) => /^[0-9a-f]{64}$/.test(text)
