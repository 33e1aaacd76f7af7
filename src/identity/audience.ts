// Whether a token is for us. An issuer that lets its workloads choose the audience, and nothing else, can vouch for a key all
// the same (`bind: audience`): the workload asks for `<audience>#jkt=<thumbprint>`, and the issuer signs that.

export interface AudienceRules {
  readonly audiences: readonly string[]
  /** Whether `<audience>#jkt=<thumbprint>` is one of ours, bound to that key. */
  readonly bindsAudience: boolean
}

/** RFC 7638, SHA-256, base64url. */
const boundForm = /^(.*)#jkt=([A-Za-z0-9_-]{43})$/s

/** Whether one of the token's audiences is one of ours, in either form. */
export function isForUs(seen: readonly string[], rules: AudienceRules): boolean {
  return seen.some((audience) => rules.audiences.includes(audience)) || boundAudienceKeys(seen, rules).length > 0
}

/** The different thumbprints that our audiences in the token name. */
export function boundAudienceKeys(seen: readonly string[], rules: AudienceRules): readonly string[] {
  if (!rules.bindsAudience) return []
  const named = seen.flatMap((text) => {
    const [, audience, jkt] = boundForm.exec(text) ?? []
    return audience !== undefined && jkt !== undefined && rules.audiences.includes(audience) ? [jkt] : []
  })
  return [...new Set(named)]
}
