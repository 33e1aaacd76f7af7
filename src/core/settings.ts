// Small zod pieces that every noun's configuration is made of.
import { z } from 'zod'

/** `90s`, `10m`, `1h`, `2d` → seconds. */
export const duration = z
  .string()
  .regex(/^[0-9]{1,9}(s|m|h|d)$/, 'expected a duration such as 90s, 10m or 1h')
  .transform((text) => Number(text.slice(0, -1)) * ({ s: 1, m: 60, h: 3600, d: 86400 }[text.slice(-1)] ?? 1))

/** A duration within bounds, both of them good. `expected` says them, such as `1s to 60s`. */
export const durationWithin = (least: number, most: number, expected: string) =>
  duration.refine((seconds) => seconds >= least && seconds <= most, `expected ${expected}`)

/** An https URL, or http on loopback. Kept exactly as written: issuers and audiences are compared as text. */
export const httpsUrl = z.string().refine(isHttpsOrLoopback, 'expected an https:// URL (http:// only for loopback)')

/** Whether the URL is https, or http to this host alone, and has neither credentials nor a fragment. */
export function isHttpsOrLoopback(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  if (url.username !== '' || url.password !== '' || url.hash !== '') return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname))
}

/** `hostname` as `URL` gives it, with brackets around an IPv6 address, or without them. */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname === '::1' || /^127(\.\d{1,3}){3}$/.test(hostname)
}

/** What is wrong with a part of the configuration: where (a path from that part's root) and what was expected. */
export interface SettingProblem {
  path: (string | number)[]
  message: string
}
