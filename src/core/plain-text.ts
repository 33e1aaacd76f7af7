/**
 * Free text as somebody who decides by it may be shown it: without control characters, without what is invisible or turns the
 * direction of writing (CVE-2021-42574: text that reads otherwise than it is), and without line breaks of any kind.
 */
export function plainText(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}]/gu,
    '',
  )
}
