// People and agents write freely why they call: what they write stands in the audit for ever and is read by others. A credential
// that was pasted into it leaves before anything of the call is kept (I5).
import { redactTokens } from './redaction.js'

const written: readonly string[] = ['purpose', 'reason']

/** The body, with what is a credential by its very form taken out of its free text. */
export function withoutPastedTokens<Body>(body: Body): Body {
  if (typeof body !== 'object' || body === null) return body
  const clean = written.flatMap((name) => {
    const text: unknown = (body as Record<string, unknown>)[name]
    return typeof text === 'string' ? [[name, redactTokens(text)] as const] : []
  })
  return clean.length === 0 ? body : { ...body, ...Object.fromEntries(clean) }
}
