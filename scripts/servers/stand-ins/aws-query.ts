// AWS's query protocol: a form comes in, XML goes out.
import { randomUUID } from 'node:crypto'

export type Xml = string | readonly Xml[] | { readonly [element: string]: Xml | undefined }

/** What a service answers instead of a result. `code` is AWS's name for it. */
export class AwsFault extends Error {
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, message: string) {
    super(message)
    this.name = 'AwsFault'
    this.status = status
    this.code = code
  }
}

const namespaces = {
  sts: 'https://sts.amazonaws.com/doc/2011-06-15/',
  iam: 'https://iam.amazonaws.com/doc/2010-05-08/',
}

export function resultXml(service: 'sts' | 'iam', action: string, result: Xml): string {
  const answer = { [`${action}Result`]: result, ResponseMetadata: { RequestId: randomUUID() } }
  return `<${action}Response xmlns="${namespaces[service]}">${toXml(answer)}</${action}Response>`
}

export function faultXml(service: 'sts' | 'iam', fault: AwsFault): string {
  const error = { Type: fault.status < 500 ? 'Sender' : 'Receiver', Code: fault.code, Message: fault.message }
  return `<ErrorResponse xmlns="${namespaces[service]}">${toXml({ Error: error, RequestId: randomUUID() })}</ErrorResponse>`
}

/** `Tags.member.1.Key=a&Tags.member.1.Value=b` → { a: 'b' }. */
export function parseTags(form: URLSearchParams): Record<string, string> {
  const tags: Record<string, string> = {}
  for (let n = 1; form.has(`Tags.member.${n}.Key`); n++) {
    tags[form.get(`Tags.member.${n}.Key`) ?? ''] = form.get(`Tags.member.${n}.Value`) ?? ''
  }
  return tags
}

function toXml(value: Xml): string {
  if (typeof value === 'string') {
    return value.replace(/[<>&"]/g, (char) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;' })[char] ?? '')
  }
  if (Array.isArray(value)) return value.map((item: Xml) => `<member>${toXml(item)}</member>`).join('')
  return Object.entries(value)
    .map(([name, item]) => (item === undefined ? '' : `<${name}>${toXml(item)}</${name}>`))
    .join('')
}
