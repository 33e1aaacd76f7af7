// Hallpass's federation identity as a provider's far side sees it: one ES256 key, published, and tokens signed with it.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'

export interface Federation {
  issuer: string
  jwksUrl: string
  sign(claims: { sub: string; aud: string; expiresInSeconds: number }): Promise<string>
  stop(): Promise<void>
}

/** Publishes the key on loopback under `<issuer>/.well-known/jwks.json`. */
export async function startFederation(): Promise<Federation> {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const kid = 'federation-1'
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'ES256' }] })
  const server = createServer((request, response) => {
    const found = request.url === '/federation/.well-known/jwks.json'
    response.writeHead(found ? 200 : 404, { 'Content-Type': 'application/json' }).end(found ? jwks : '{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const issuer = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/federation`
  return {
    issuer,
    jwksUrl: `${issuer}/.well-known/jwks.json`,
    sign: ({ sub, aud, expiresInSeconds }) => {
      const now = Math.floor(Date.now() / 1000)
      const token = new SignJWT({ iss: issuer, sub, aud, iat: now, nbf: now, exp: now + expiresInSeconds })
      return token.setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' }).sign(privateKey)
    },
    stop: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close').catch(() => {})
    },
  }
}
