// RFC 8785 (JSON Canonicalization Scheme). JavaScript's own number and string forms are the scheme's; only the order of
// members is ours to set, by UTF-16 code units, which is what Array.sort does.

export type Json = string | number | boolean | null | readonly Json[] | { readonly [member: string]: Json | undefined }

// Such a text is its own JSON form. Every audit record passes here, and asking the engine for each name costs most of it.
const needsNoEscape = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

/** One canonical text per value. Members that are undefined are left out; NaN and infinities throw a TypeError. */
export function canonicalJson(value: Json): string {
  if (typeof value === 'string') return quote(value)
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('a number without a JSON form')
    return String(value)
  }
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonicalJson(item)).join(',')}]`
  return canonicalObject(value as { readonly [member: string]: Json | undefined })
}

function canonicalObject(object: { readonly [member: string]: Json | undefined }): string {
  let members = ''
  for (const name of Object.keys(object).sort()) {
    const member = object[name]
    if (member === undefined) continue
    members += `${members === '' ? '' : ','}${quote(name)}:${canonicalJson(member)}`
  }
  return `{${members}}`
}

function quote(text: string): string {
  return needsNoEscape.test(text) ? `"${text}"` : JSON.stringify(text)
}
