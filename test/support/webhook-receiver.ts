// An honest receiver of webhooks: it verifies each delivery as Standard Webhooks says, by the recipe of docs/approval-clients.md
// and none of our code, and answers what it was told to.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export interface Delivery {
  readonly id: string
  readonly timestamp: string
  readonly verified: boolean
  readonly body: { event: string; delivery_id: string; at: string; approval: Record<string, unknown> }
  readonly raw: string
  readonly path: string
}

export interface WebhookReceiver {
  readonly url: string
  readonly deliveries: Delivery[]
  /** For the next ones, in order: a status, or `never` for no answer at all. Afterwards 204. */
  readonly answers: (number | 'never')[]
  /** Waits for so many. */
  until(count: number): Promise<Delivery[]>
  close(): Promise<void>
}

/** `secret`: as in the configuration, one. */
export async function startWebhookReceiver(secret: string): Promise<WebhookReceiver> {
  const deliveries: Delivery[] = []
  const answers: (number | 'never')[] = []
  const server = createServer(async (incoming, outgoing) => {
    // Whoever gave up while we stood still has delivered nothing, and comes again.
    const raw = await text(incoming).catch(() => null)
    if (raw === null) return
    const header = (name: string) => String(incoming.headers[name] ?? '')
    const [id, timestamp] = [header('webhook-id'), header('webhook-timestamp')]
    const verified = verify(secret, { id, timestamp, signature: header('webhook-signature') }, raw)
    deliveries.push({ id, timestamp, verified, raw, body: JSON.parse(raw), path: incoming.url ?? '' })
    const answer = answers.shift() ?? 204
    if (answer !== 'never') outgoing.writeHead(answer, { location: '/elsewhere' }).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/hooks/hallpass`,
    deliveries,
    answers,
    async until(count) {
      while (deliveries.length < count) await new Promise((resolve) => setTimeout(resolve, 20))
      return deliveries
    },
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

const toleranceSeconds = 300

function verify(secret: string, sent: { id: string; timestamp: string; signature: string }, body: string): boolean {
  if (Math.abs(Date.now() / 1000 - Number(sent.timestamp)) > toleranceSeconds) return false
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const expected = createHmac('sha256', key).update(`${sent.id}.${sent.timestamp}.${body}`).digest()
  return sent.signature.split(' ').some((one) => {
    const [version, base64 = ''] = one.split(',')
    const given = Buffer.from(base64, 'base64')
    return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected)
  })
}
