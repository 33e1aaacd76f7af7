// Why a broker issues nothing just now: `/readyz`, which needs no identity.
import { z } from 'zod'
import { callHttp, parseServiceUrl } from './http-json.js'

const readiness = z.looseObject({ problems: z.record(z.string(), z.string()) })

/** Problem code → what is wrong, in words; empty when credentials can be issued. Throws ClientError, or when it is no such answer. */
export async function fetchReadinessProblems(options: { url: string; ca?: string }): Promise<Record<string, string>> {
  const base = parseServiceUrl(options.url, 'the broker URL')
  const url = new URL(base)
  url.pathname = `${base.pathname.replace(/\/+$/, '')}/readyz`
  const ca = options.ca === undefined ? {} : { ca: options.ca }
  const { text } = await callHttp({ method: 'GET', url, ...ca, timeoutMs: 5000, maxBytes: 64 * 1024 })
  return readiness.parse(JSON.parse(text)).problems
}
