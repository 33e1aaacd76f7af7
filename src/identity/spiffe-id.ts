// The SPIFFE ID grammar exactly (SPIFFE-ID.md section 2): no normalising, no percent-encoding, no case folding, since two
// spellings of one workload would be two principals, or one principal for two workloads.

export interface SpiffeId {
  readonly text: string
  readonly trustDomain: string
  /** Empty, or starts with a slash. */
  readonly path: string
}

const scheme = 'spiffe://'
const maxLength = 2048

/** Parses a SPIFFE ID; throws an Error that says which rule of the grammar the text breaks. */
export function parseSpiffeId(text: string): SpiffeId {
  // Only ASCII passes below, so that characters are bytes.
  if (text.length > maxLength) throw new Error(`is longer than ${maxLength} bytes`)
  if (!text.startsWith(scheme)) throw new Error('does not start with spiffe://')
  const rest = text.slice(scheme.length)
  const slash = rest.indexOf('/')
  const trustDomain = slash === -1 ? rest : rest.slice(0, slash)
  const path = slash === -1 ? '' : rest.slice(slash)
  if (!isTrustDomain(trustDomain)) {
    throw new Error('its trust domain is not 1 to 255 characters of a-z, 0-9, dot, dash and underscore')
  }
  if (path !== '') for (const segment of path.slice(1).split('/')) checkSegment(segment)
  return { text, trustDomain, path }
}

/** Whether `text` is a trust domain's name. */
export function isTrustDomain(text: string): boolean {
  return /^[a-z0-9._-]{1,255}$/.test(text)
}

/** What stands where a SPIFFE ID has its trust domain, to choose an issuer by; undefined when `text` is no SPIFFE URI. */
export function trustDomainIn(text: string): string | undefined {
  return text.startsWith(scheme) ? text.slice(scheme.length).split('/', 1)[0] : undefined
}

function checkSegment(segment: string): void {
  if (segment === '') throw new Error('its path has an empty segment or ends in a slash')
  if (segment === '.' || segment === '..') throw new Error('its path has a dot segment')
  if (!/^[A-Za-z0-9._-]+$/.test(segment)) {
    throw new Error('its path has characters other than letters, digits, dot, dash and underscore')
  }
}
