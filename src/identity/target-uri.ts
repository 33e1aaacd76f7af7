// One spelling per URI (RFC 3986 section 6.2.2 and 6.2.3), so that `htu` is compared and not guessed. Stricter than what
// browsers read: what they repair in silence (back slashes, tabs, user names) is refused.

const allowed = /^https?:\/\/[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/i

/** Scheme, authority and path in their normal form, without query and fragment; null for what is no such http(s) URI. */
export function normalizeTargetUri(text: string): string | null {
  // Anything longer is none of our paths; the bound keeps the work small.
  if (text.length > 4096 || !allowed.test(text) || /%(?![0-9A-Fa-f]{2})/.test(text) || !URL.canParse(text)) return null
  const url = new URL(text)
  if (url.username !== '' || url.password !== '' || /^https?:\/\/[^/?#]*@/i.test(text)) return null
  return `${url.protocol}//${url.host}${normalizeEscapes(url.pathname)}`
}

/** Unreserved characters stand for themselves, the hex of all others is upper case; a slash that is escaped is no slash. */
function normalizeEscapes(path: string): string {
  return path.replace(/%[0-9A-Fa-f]{2}/g, (escaped) => {
    const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escaped.toUpperCase()
  })
}
