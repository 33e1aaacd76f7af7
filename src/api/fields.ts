// Fields that several calls share. Everything is bounded: what is not bounded here is a way to fill our memory.
import { z } from 'zod'

const noControls = /^[^\p{Cc}\p{Cs}]*$/u

export const purpose = z.string().min(1).max(500).regex(noControls, 'expected text without control characters')
export const reason = z.string().min(1).max(500).regex(noControls, 'expected text without control characters')
export const actionName = z
  .string()
  .regex(/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/, 'expected an action such as database.query')
  .max(128)
export const resourceId = z
  .string()
  .regex(/^[a-z][a-z0-9_]*:[a-z0-9][a-z0-9._/@-]*$/, 'expected type:id in lower case, such as repo:acme/web')
  .max(256)
/**
 * A principal or an account, as it is asked for: every one that is taken can be named, and so be stopped. A subject has at most
 * 2,048 characters (src/identity), and its issuer's name stands before it.
 */
export const callerName = z.string().max(2304)
export const ttlSeconds = z.int().min(1).max(31_536_000)
/** Below it a pause of ours that nobody notices would count as theirs. */
export const heartbeatSeconds = z.int().min(5).max(3600)
export const timestamp = z.iso.datetime({ message: 'expected a time such as 2031-05-06T07:08:09Z' })
export const idOf = (prefix: string) =>
  z.string().regex(new RegExp(`^${prefix}_[0-9a-z]{26}$`), `expected an id that starts with ${prefix}_`)
/** A whole number in a query: digits alone, since JavaScript would take an empty text, `0x10` or ` 7 ` for one too. */
const queryInteger = (min: number, max: number) =>
  z
    .string()
    .regex(/^[0-9]{1,9}$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .pipe(z.int().min(min).max(max))
export const limit = queryInteger(1, 1000)
export const cursor = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[A-Za-z0-9_-]+$/, 'expected a cursor from an earlier answer')
export const waitSeconds = queryInteger(0, 60)
export const idempotencyKey = z.string().regex(/^[\x21-\x7e]{1,128}$/, 'expected 1 to 128 visible ASCII characters')
