// Patterns that end, or begin, in the middle of a name.
import type { Pattern } from './conditions.js'

/**
 * What a pattern admits beyond what it looks like, or null. `repo:acme/web*` is also acme/web-evil; `*main` is any branch that
 * ends so. In refs a dash, dot or underscore ends a part too: `refs/heads/release-*`.
 */
export function halfAnchored({ attribute, text }: Pattern, isRef: boolean): string | null {
  const like = `principal.${attribute} like ${JSON.stringify(text)}`
  if (/^\*/.test(text)) return `${like} is not anchored at its start: anything may stand before`
  const ends = isRef ? /[/:@._-]$/ : /[/:@]$/
  const before = text.split(/(?<!\\)\*/).slice(0, -1)
  const open = before.find((part) => part !== '' && !ends.test(part))
  if (open === undefined) return null
  const name = open.split(/[/:@]/).at(-1) ?? open
  return `${like} is half anchored: "${name}" may go on, as in "${name}-evil"; end the part before * with its delimiter`
}

/** `owner/repo/file@ref`: without a whole ref anybody who can push any branch there is it. Null where it has one. */
export function unpinned({ attribute, text }: Pattern): string | null {
  if (/@[^*]+$/.test(text)) return null
  return `principal.${attribute} like ${JSON.stringify(text)} is not pinned to one ref: expected it whole, up to "@refs/heads/…" or a commit`
}
