// Takes secrets out of what callers write. An event is free text of a program that held credentials a moment ago: whatever
// looks like one leaves before the text is kept anywhere. What the patterns cannot know is found by digest (candidatesOf).

interface Pattern {
  readonly kind: string
  readonly find: RegExp
  /** What stays in front of the mark: `$1`. */
  readonly keep?: string
}

const marked = String.raw`(?!\[redacted:)`
const secretName =
  'passw(?:or)?d|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key|session[_-]?key|credentials?|authorization|cookie'

// In this order: what a wider pattern would cut in two comes first. No pattern has two open repetitions side by side, so the
// time is linear in the text.
const patterns: readonly Pattern[] = [
  { kind: 'pem', find: /-----BEGIN [A-Z0-9 ]{1,60}-----[\s\S]*?(?:-----END [A-Z0-9 ]{1,60}-----|$)/g },
  // A session token may have the letters that a JWT begins with anywhere in it.
  { kind: 'aws_session_token', find: /(?<![A-Za-z0-9+/=])(?:IQoJ|FwoG|FQoG)[A-Za-z0-9+/=]{60,}/g },
  // The other base64 may begin so as well, and a secret key of AWS go on so.
  { kind: 'jwt', find: /eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}(?:[+/=][A-Za-z0-9+/=_-]*)?/g },
  { kind: 'vault_token', find: /(?<![A-Za-z0-9])hv[sbr]\.[A-Za-z0-9_-]{16,}/g },
  { kind: 'vault_token', find: /(?<![A-Za-z0-9_.-])[sbr]\.[A-Za-z0-9]{20,}/g },
  { kind: 'github_token', find: /(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9_.-]{16,}|github_pat_[A-Za-z0-9_]{20,})/g },
  { kind: 'gitlab_token', find: /(?<![A-Za-z0-9])gl(?:pat|cbt|dt|ptt|rt|ft|soat)-[A-Za-z0-9_.-]{16,}/g },
  {
    kind: 'api_key',
    find: /(?<![A-Za-z0-9])(?:xox[a-z]-|sk-|sk_live_|rk_live_|npm_|pypi-|dop_v1_|AIza)[A-Za-z0-9_-]{16,}/g,
  },
  { kind: 'aws_access_key', find: /(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])/g },
  // As AWS's secret keys look; a hash in hex, which has no letters of both cases, is none.
  {
    kind: 'aws_secret_key',
    find: /(?<![A-Za-z0-9+/=])(?=[A-Za-z0-9+/]{0,39}[a-z])(?=[A-Za-z0-9+/]{0,39}[A-Z])(?=[A-Za-z0-9+/]{0,39}[0-9])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=])/g,
  },
  {
    kind: 'authorization',
    find: new RegExp(String.raw`\b((?:Bearer|DPoP|Basic)\s{1,4})${marked}[A-Za-z0-9._~+/=-]{6,}`, 'gi'),
    keep: '$1',
  },
  {
    kind: 'password',
    find: new RegExp(String.raw`(:\/\/${marked}[^\s/:@?#"']{0,256}:)${marked}[^\s/@"']{1,512}(?=@)`, 'g'),
    keep: '$1',
  },
  { kind: 'userinfo', find: new RegExp(String.raw`(:\/\/)${marked}[^\s/:@?#"']{16,512}(?=@)`, 'g'), keep: '$1' },
  {
    kind: 'value',
    find: new RegExp(
      // JSON within JSON has its quotes escaped, once or more.
      String.raw`((?:${secretName})[A-Za-z0-9_.-]{0,40}\\{0,7}["']?\s{0,4}(?:=>|:|=(?!>))\s{0,4})${marked}(?:\\{0,7}"[^"]{0,2000}"?|\\{0,7}'[^']{0,2000}'?|[^\s,;&"'}\])]{1,2000})`,
      'gi',
    ),
    keep: '$1',
  },
  {
    kind: 'value',
    find: new RegExp(
      String.raw`((?<!-)--?[A-Za-z0-9_-]{0,40}(?:${secretName})[A-Za-z0-9_-]{0,40}\s{1,4})${marked}(?!-)[^\s"']{1,2000}`,
      'gi',
    ),
    keep: '$1',
  },
]

/** Leaves `[redacted:<kind>]` where something looked like a secret. Doing it again changes nothing. */
export function redactPatterns(text: string): string {
  let clean = text
  for (const { kind, find, keep = '' } of patterns) clean = clean.replace(find, `${keep}[redacted:${kind}]`)
  return clean
}

/** Kinds that are told by their form alone: of what people write for people nothing else is taken for a secret. */
const tokenKinds: readonly string[] = [
  'pem',
  'jwt',
  'vault_token',
  'github_token',
  'gitlab_token',
  'api_key',
  'aws_session_token',
]

/** Leaves `[redacted:<kind>]` in place of tokens and keys; words such as `token: expired` stay. */
export function redactTokens(text: string): string {
  let clean = text
  for (const { kind, find } of patterns)
    if (tokenKinds.includes(kind)) clean = clean.replace(find, `[redacted:${kind}]`)
  return clean
}

/** Whether a member of this name holds a secret by its name alone. */
export const isSecretName = (name: string): boolean => new RegExp(secretName, 'i').test(name)

const shortest = 8
const longest = 4096
/** From the widest reading of what one value may be to the narrowest: a secret may hold what delimits another. */
const delimiters = [
  /[\s"'`]+/,
  /[\s"'`,;<>(){}[\]|\\]+/,
  /[\s"'`,;<>(){}[\]|\\=&?:@]+/,
  /[^A-Za-z0-9_.+/=-]+/,
  /[^A-Za-z0-9_.-]+/,
  /[^A-Za-z0-9-]+/,
]

/** What in the text may be a value that somebody was issued, to be compared by digest. */
export function candidatesOf(text: string): Set<string> {
  const found = new Set<string>()
  for (const delimiter of delimiters) {
    for (const part of text.split(delimiter)) {
      const value = withoutEndMarks(part)
      for (const one of [part, value]) if (one.length >= shortest && one.length <= longest) found.add(one)
    }
  }
  for (const one of [...found]) {
    const decoded = one.includes('%') ? decodeOrNull(one) : null
    if (decoded !== null && decoded.length >= shortest) found.add(decoded)
  }
  return found
}

/** By hand: an expression that ends in `$` tries each mark of a long row anew, and callers send rows of dots. */
function withoutEndMarks(text: string): string {
  let end = text.length
  while (end > 0 && '.,;:!?'.includes(text.charAt(end - 1))) end--
  return text.slice(0, end)
}

function decodeOrNull(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

/** Takes out the values that were found to be issued, then what looks like a secret. */
export function redact(text: string, issued: Iterable<string> = []): string {
  let clean = text
  // The longest first: one may be a part of another.
  for (const value of [...issued].sort((a, b) => b.length - a.length)) {
    for (const form of [value, encodeURIComponent(value)]) clean = clean.replaceAll(form, '[redacted:issued]')
  }
  return redactPatterns(clean)
}

/** Members of a credential that say nothing secret. */
const publicMembers: readonly string[] = [
  'type',
  'token_type',
  'expires_at',
  'region',
  'address',
  'username',
  'access_key_id',
]

/** The texts of a credential that must not be seen again and that no pattern would find. */
export function unpatternedSecrets(credential: object): string[] {
  return Object.entries(credential).flatMap(([name, value]) => {
    if (publicMembers.includes(name)) return []
    if (typeof value === 'object' && value !== null) return unpatternedSecrets(value)
    if (typeof value !== 'string' || value.length < shortest || value.length > longest) return []
    return /^\[redacted:[a-z_]+\]$/.test(redactPatterns(value)) ? [] : [value]
  })
}
