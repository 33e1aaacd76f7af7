// One HTTP request on a connection of its own, so that no kept-alive socket of a program that was killed gets in the way.
import { request } from 'node:http'

export interface CallOptions {
  readonly token?: string
  /** Sent as JSON; text goes out as it is, with whatever content type `headers` gives. */
  readonly body?: unknown
  /** Sent as application/x-www-form-urlencoded. */
  readonly form?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string | string[]>>
}

export interface Answer {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly text: string
  /** The parsed body; an empty object where it was no JSON object. */
  readonly body: Record<string, unknown>
}

/** Calls `base + path`. Rejects only when no answer came. */
export function call(base: string, method: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const { text, type } = bodyOf(options)
  const headers = {
    ...(text === null ? {} : { 'content-type': type, 'content-length': String(Buffer.byteLength(text)) }),
    ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
    ...options.headers,
  }
  return new Promise((resolve, reject) => {
    const sent = request(base + path, { method, headers, agent: false }, (response) => {
      let answer = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        answer += chunk
      })
      response.on('error', reject)
      response.on('end', () => {
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: answer,
          body: parseObject(answer),
        })
      })
    })
    sent.on('error', reject)
    sent.end(text ?? undefined)
  })
}

function bodyOf({ body, form }: CallOptions): { text: string | null; type: string } {
  if (form !== undefined)
    return { text: new URLSearchParams(form).toString(), type: 'application/x-www-form-urlencoded' }
  if (body === undefined) return { text: null, type: '' }
  return { text: typeof body === 'string' ? body : JSON.stringify(body), type: 'application/json' }
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
