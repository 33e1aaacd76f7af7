// Bodies and queries, strictly: what is not understood whole is refused, with the field named.
import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { BrokerError, type FieldError, invalidField } from '../core/errors.js'
import { JsonTextError, parseStrictJson } from '../core/strict-json.js'

const maxBodyBytes = 64 * 1024

/** The raw body, `most` bytes of it (64 KiB by default). Throws `too_large`, and `unsupported_media_type` for a content encoding. */
export async function readBody(request: IncomingMessage, most = maxBodyBytes): Promise<Buffer> {
  if (request.headers['content-encoding'] !== undefined && request.headers['content-encoding'] !== 'identity') {
    throw new BrokerError('unsupported_media_type', 'content-encoding: expected none')
  }
  const declared = Number(request.headers['content-length'] ?? 0)
  // Not `for await`: leaving it would end the connection that the answer has to go through.
  const incoming = request[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  const chunks: Buffer[] = []
  let size = declared > most ? declared : 0
  while (size <= most) {
    const next = await incoming.next()
    if (next.done) return Buffer.concat(chunks)
    size += next.value.length
    chunks.push(next.value)
  }
  if (declared <= discardedBytes) await discard(incoming)
  throw tooLarge(most)
}

const discardedBytes = 8 * 1024 * 1024
const discardedMs = 2000

/**
 * Reads on and keeps nothing, within bounds: a client that writes its whole body before it looks for an answer would find the
 * connection reset and never learn that the body was too large.
 */
async function discard(incoming: AsyncIterator<Buffer>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const enough = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, discardedMs, null)
  })
  try {
    for (let size = 0; size <= discardedBytes; ) {
      const next = await Promise.race([incoming.next(), enough])
      if (next === null || next.done) return
      size += next.value.length
    }
  } catch {
    // It went away: there is nobody to answer.
  } finally {
    clearTimeout(timer)
  }
}

const tooLarge = (most: number) => new BrokerError('too_large', `the body is larger than ${most} bytes`)

/** Throws `invalid_request` for bytes that are no UTF-8: a decoder that replaces them would let two bodies be one. */
export function decodeUtf8(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    throw invalidField('body', 'is not UTF-8')
  }
}

/** A JSON body against its schema. An empty body counts as `{}` where the schema takes that. */
export async function readJson<S extends z.ZodType>(
  request: IncomingMessage,
  schema: S,
  most?: number,
): Promise<z.output<S>> {
  const body = await readBody(request, most)
  if (body.length > 0)
    checkContentType(request, /^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/i, 'application/json')
  return parseWith(schema, body.length === 0 ? {} : parseBody(decodeUtf8(body)))
}

/** Throws `unsupported_media_type` (415). `name`: how it is called in the error. */
export function checkContentType(request: IncomingMessage, expected: RegExp, name: string): void {
  if (!expected.test(request.headers['content-type'] ?? '')) {
    throw new BrokerError('unsupported_media_type', `content-type: expected ${name}`)
  }
}

function parseBody(text: string): unknown {
  try {
    return parseStrictJson(text)
  } catch (error) {
    if (error instanceof JsonTextError) throw invalidField(error.field || 'body', error.message)
    throw error
  }
}

/** Validates; throws `invalid_request` naming every wrong field by its path. */
export function parseWith<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const errors = parsed.error.issues.flatMap((issue) => fieldErrorsOf(issue, []))
  const [first] = errors
  throw new BrokerError(
    'invalid_request',
    first ? `${first.field}: ${first.message}` : 'the request is not well formed',
    {
      errors: errors.slice(0, 20),
    },
  )
}

function fieldErrorsOf(issue: z.core.$ZodIssue, within: readonly string[]): FieldError[] {
  const path = [...within, ...issue.path.map(String)]
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: [...path, key.slice(0, 128)].join('.'),
      message: 'is not a known field',
    }))
  }
  const meant = issue.code === 'invalid_union' ? meantOf(issue.errors) : undefined
  if (meant !== undefined) return meant.flatMap((inner) => fieldErrorsOf(inner, path))
  return [{ field: path.join('.') || 'body', message: lowerFirst(issue.message) }]
}

/**
 * Of several kinds of object the one whose members were given: what is wrong is within it, and has a name there. Where something
 * else would do as well (a text), only the message of the whole says so.
 */
function meantOf(kinds: readonly z.core.$ZodIssue[][]): z.core.$ZodIssue[] | undefined {
  const isMeant = (issues: readonly z.core.$ZodIssue[]) => issues.every(({ path }) => path.length > 0)
  const isObject = (issues: readonly z.core.$ZodIssue[]) =>
    issues.every(({ path, code }) => path.length > 0 || code === 'unrecognized_keys')
  if (!kinds.every(isObject)) return undefined
  const meant = kinds.filter(isMeant)
  return meant.length === 1 ? meant[0] : undefined
}

const lowerFirst = (text: string) => text.charAt(0).toLowerCase() + text.slice(1)

/** The query as an object; a parameter given twice is refused, since two readers would take different ones. */
export function readQuery<S extends z.ZodType>(search: string, schema: S): z.output<S> {
  const values: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [name, value] of new URLSearchParams(search)) {
    if (name in values) throw invalidField(name.slice(0, 128), 'is given more than once')
    values[name] = value
  }
  return parseWith(schema, { ...values })
}

/** Where a page begins, from the `next_cursor` of the one before; 0 without one. */
export function readOffset(cursor: string | undefined): number {
  const offset = cursor === undefined ? 0 : Number(Buffer.from(cursor, 'base64url').toString('utf8'))
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw invalidField('cursor', 'expected a cursor from an earlier answer')
  return offset
}
