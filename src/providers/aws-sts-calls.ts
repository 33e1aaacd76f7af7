// How AWS is called: one attempt, a time-out over the whole call, a bound on what is read, errors without upstream text.
import { Readable } from 'node:stream'
import { IAMClient } from '@aws-sdk/client-iam'
import { STSClient } from '@aws-sdk/client-sts'
import type { AwsStsConfig } from './aws-sts-config.js'
import { CallTimeout, toProviderError } from './aws-sts-errors.js'

const maxAnswerBytes = 512 * 1024

/** Access keys as the SDK takes them from a provider of credentials. */
export interface AccessKeys {
  accessKeyId: string
  secretAccessKey: string
  sessionToken: string
  expiration: Date
}

/** Without `credentials` the SDK's default chain signs what needs a signature. */
export type CredentialSource = () => Promise<AccessKeys>

export function createStsClient(config: AwsStsConfig, credentials?: CredentialSource): STSClient {
  const client = new STSClient(clientOptions(config, credentials))
  client.middlewareStack.add(boundAnswer(config.timeout * 1000), { step: 'deserialize', priority: 'low' })
  return client
}

export function createIamClient(config: AwsStsConfig, credentials?: CredentialSource): IAMClient {
  const client = new IAMClient(clientOptions(config, credentials))
  client.middlewareStack.add(boundAnswer(config.timeout * 1000), { step: 'deserialize', priority: 'low' })
  return client
}

/**
 * Makes one call within `timeoutMs` and throws ProviderError for whatever goes wrong. `doing` names it, such as
 * `STS AssumeRole`. The signal ends the request; the race also covers what ignores it, such as a credential chain.
 */
export async function callAws<T>(
  doing: string,
  timeoutMs: number,
  call: (abortSignal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new CallTimeout())
      controller.abort()
    }, timeoutMs)
  })
  try {
    return await Promise.race([call(controller.signal), timeout])
  } catch (error) {
    throw toProviderError(error, doing)
  } finally {
    clearTimeout(timer)
  }
}

function clientOptions(config: AwsStsConfig, credentials: CredentialSource | undefined) {
  return {
    region: config.region,
    // A second attempt after a lost answer would mint twice, and the broker keeps its own count of attempts.
    maxAttempts: 1,
    ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
    requestHandler: { connectionTimeout: config.timeout * 1000, httpsAgent: { maxSockets: config.concurrency * 2 } },
  }
}

/** The SDK reads an answer without limit in size or time; this reads it first, with both. */
function boundAnswer(timeoutMs: number) {
  return <Args, Out extends { response: unknown }>(next: (args: Args) => Promise<Out>) =>
    async (args: Args): Promise<Out> => {
      const out = await next(args)
      const response = out.response as { body?: unknown }
      if (response.body instanceof Readable) response.body = await readBounded(response.body, timeoutMs)
      return out
    }
}

async function readBounded(body: Readable, timeoutMs: number): Promise<Uint8Array> {
  const timer = setTimeout(() => body.destroy(new CallTimeout()), timeoutMs)
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of body) {
      chunks.push(chunk as Buffer)
      length += (chunk as Buffer).length
      if (length > maxAnswerBytes) throw new Error('the answer is too long')
    }
  } finally {
    clearTimeout(timer)
    body.destroy()
  }
  return Buffer.concat(chunks)
}
