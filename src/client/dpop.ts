// DPoP (RFC 9449) for the client: a key that never leaves this process, and a proof for each call.
import { createHash, randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { callHttp, type HttpAnswer, type HttpCall } from './http-json.js'

/** A key of ours. Two of them are two callers: a task opened with a proof by one is not found with the other. */
export interface DpopKey {
  /** RFC 7638, as in `cnf.jkt` and in `<audience>#jkt=<thumbprint>`. */
  thumbprint(): Promise<string>
  /** A proof for one request with one token. `nonce`: the last one that the broker gave. */
  prove(request: { method: string; url: URL; token: string; nonce?: string | undefined }): Promise<string>
}

/** ES256, made when first needed, in memory only. */
export function createDpopKey(): DpopKey {
  const make = async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: false })
    const jwk = await exportJWK(publicKey)
    return { privateKey, jwk, thumbprint: await calculateJwkThumbprint(jwk, 'sha256') }
  }
  let made: ReturnType<typeof make> | undefined
  const own = () => {
    made ??= make()
    return made
  }
  return {
    thumbprint: async () => (await own()).thumbprint,
    async prove({ method, url, token, nonce }) {
      const { privateKey, jwk } = await own()
      const claims = {
        htm: method,
        htu: `${url.origin}${url.pathname}`,
        ath: createHash('sha256').update(token).digest('base64url'),
        ...(nonce === undefined ? {} : { nonce }),
      }
      return new SignJWT(claims)
        .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
        .setIssuedAt()
        .setJti(randomUUID())
        .sign(privateKey)
    },
  }
}

/** Makes a call with the subject token. */
export type SendWithToken = (call: HttpCall, token: string) => Promise<HttpAnswer>

export const sendAsBearer: SendWithToken = (call, token) =>
  callHttp({ ...call, headers: { ...call.headers, authorization: `Bearer ${token}` } })

/**
 * With a proof by `key`. A broker that wants a nonce answers before it has looked at what is asked, so the call is repeated
 * with it, once: nothing was minted.
 */
export function createDpopSender(key: DpopKey): SendWithToken {
  let nonce: string | undefined
  const send = async (call: HttpCall, token: string) => {
    const dpop = await key.prove({ method: call.method, url: call.url, token, nonce })
    const answer = await callHttp({ ...call, headers: { ...call.headers, authorization: `DPoP ${token}`, dpop } })
    const given = answer.headers['dpop-nonce']
    if (typeof given === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/.test(given)) nonce = given
    return answer
  }
  return async (call, token) => {
    const before = nonce
    const answer = await send(call, token)
    const wantsNonce = answer.status === 401 && /use_dpop_nonce/.test(String(answer.headers['www-authenticate']))
    return wantsNonce && nonce !== before ? send(call, token) : answer
  }
}
