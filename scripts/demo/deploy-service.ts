// A service that takes Hallpass's tokens: it asks Hallpass about each (RFC 7662) and deploys only with one that counts now.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { call } from './http-call.js'

export interface DeployService {
  readonly url: string
  /** The last token that it was shown, so that the story can show it again. */
  lastToken(): string
  stop(): Promise<void>
}

/** `ownToken`: how the service proves to Hallpass who it is; its SPIFFE ID is the audience of the tokens. */
export async function startDeployService(hallpass: string, ownToken: () => Promise<string>): Promise<DeployService> {
  let last = ''
  const server = createServer((request, response) => {
    const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
    last = token
    introspect(token).then(
      ([status, text]) => response.writeHead(status).end(`${text}\n`),
      (error: Error) => response.writeHead(503).end(`${error.message}\n`),
    )
  })
  async function introspect(token: string): Promise<[number, string]> {
    const options = { token: await ownToken(), form: { token } }
    const { status, body } = await call(hallpass, 'POST', '/oauth/introspect', options)
    if (status !== 200) throw new Error(`Hallpass answered ${status}`)
    if (body.active !== true || body.scope !== 'deploy') return [401, 'not deployed: the token is not active']
    return [200, `deployed, for ${String(body.sub)}`]
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    lastToken: () => last,
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close').catch(() => undefined)
    },
  }
}
