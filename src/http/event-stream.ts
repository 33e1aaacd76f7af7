// Server-Sent Events (WHATWG HTML, section 9.2): an answer that goes on, for whoever waits for people.
import type { ServerResponse } from 'node:http'

export interface ServerEvent {
  readonly event: string
  readonly id: string
  readonly data: object
}

const keepAliveMs = 15_000

/**
 * Writes the head and then each event as it comes; ends with the last one, or when the caller is gone, which aborts the
 * signal that the events are made with. Never rejects: an error ends the stream, and the caller connects again.
 */
export async function writeEvents(
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
  events: (gone: AbortSignal) => AsyncIterable<ServerEvent>,
): Promise<void> {
  const gone = new AbortController()
  response.on('close', () => gone.abort())
  // A proxy that collects the answer would hold every event back.
  response.writeHead(200, { ...headers, 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
  response.write(': connected\n\n')
  const alive = setInterval(() => response.write(': still waiting\n\n'), keepAliveMs)
  try {
    for await (const { event, id, data } of events(gone.signal)) {
      response.write(`event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`)
    }
  } catch {
    // The head has gone out: there is no status left to say it with.
  } finally {
    clearInterval(alive)
    response.end()
  }
}
