// What a client may ask a broker before it has any identity: `/.well-known/hallpass`.
import { z } from 'zod'
import { parseAnswer } from './answer.js'
import type { DpopKey } from './dpop.js'
import { callHttp, parseServiceUrl } from './http-json.js'

/** Where a person gets a token that this broker takes: the `login:` setting of an operators' issuer. */
export const publishedLogin = z.object({
  /** The issuer's name in the broker's configuration. */
  name: z.string(),
  issuer: z.string(),
  client_id: z.string().min(1),
  scopes: z.array(z.string()),
  token: z.enum(['id_token', 'access_token']),
  audience: z.string(),
})
export type PublishedLogin = z.infer<typeof publishedLogin>

const metadata = z.looseObject({
  issuer: z.string(),
  audiences: z.array(z.string()).default([]),
  login: z.array(publishedLogin).default([]),
  version: z.string().optional(),
  /** Those that an issuer binds to a key when they are asked for as `<audience>#jkt=<thumbprint>`. */
  dpop_bound_audiences: z.array(z.string()).default([]),
})
export type BrokerMetadata = z.infer<typeof metadata>

/** Throws ClientError `unavailable` or `invalid_answer`. */
export async function fetchBrokerMetadata(options: {
  url: string
  ca?: string
  timeoutMs?: number
}): Promise<BrokerMetadata> {
  const base = parseServiceUrl(options.url, 'the broker URL')
  const url = new URL(base)
  url.pathname = `${base.pathname.replace(/\/+$/, '')}/.well-known/hallpass`
  const answer = await callHttp({
    method: 'GET',
    url,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    timeoutMs: options.timeoutMs ?? 10_000,
    maxBytes: 64 * 1024,
  })
  return parseAnswer(answer, metadata, base.origin)
}

/** The audience to ask an issuer for: the broker's issuer (the default of an issuer's `audience`) where it is taken, else its first. */
export function audienceOf(broker: Pick<BrokerMetadata, 'issuer' | 'audiences'>): string {
  if (broker.audiences.includes(broker.issuer)) return broker.issuer
  return broker.audiences[0] ?? broker.issuer
}

/** The audience that also says which key the token is for, where the broker takes it so; else the plain one. */
export async function boundAudienceOf(broker: BrokerMetadata, key: DpopKey | undefined): Promise<string> {
  const audience = audienceOf(broker)
  if (key === undefined || !broker.dpop_bound_audiences.includes(audience)) return audience
  return `${audience}#jkt=${await key.thumbprint()}`
}
