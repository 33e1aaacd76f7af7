// A header's one value.
import type { IncomingMessage } from 'node:http'
import { BrokerError } from '../core/errors.js'

/** A header that Node joins when it is given twice would be read as one by us and as two by a proxy: refused. */
export function headerOf(request: IncomingMessage, name: string): string | null {
  const values = request.headersDistinct[name]
  if (values === undefined) return null
  if (values.length !== 1) throw new BrokerError('invalid_token', `the header ${name} is given more than once`)
  return values[0] ?? null
}
