// Hallpass's own login at Vault: shared by all calls, renewed near its end, and once when Vault refuses it.
import { readFile } from 'node:fs/promises'
import type { Clock } from '../core/clock.js'
import { Secret } from '../core/secret.js'
import { type JsonObject, ProviderError } from './provider.js'
import { loginAnswer, parseAnswer } from './vault-answers.js'
import type { VaultAuth, VaultConfig } from './vault-config.js'
import type { VaultAnswer, VaultRequest, VaultTransport } from './vault-transport.js'

export type SignFederationToken = (claims: { sub: string; aud: string; expiresInSeconds: number }) => Promise<string>

interface Session {
  token: Secret
  obtainedAt: number
  /** Monotonic milliseconds after which another one is made. */
  renewAt: number
}

// Vault checks the token at once; the rest is room for its clock.
const federationTokenSeconds = 60
const tokenFileSeconds = 5
const longestSessionSeconds = 3600
// A session this young has not expired: a 403 to it is a denial, and another login would change nothing.
const youngMs = 2_000

export class VaultLogin {
  readonly #config: VaultConfig
  readonly #transport: VaultTransport
  readonly #clock: Clock
  readonly #sign: SignFederationToken
  #session: Promise<Session> | null = null

  constructor(config: VaultConfig, transport: VaultTransport, clock: Clock, sign: SignFederationToken) {
    this.#config = config
    this.#transport = transport
    this.#clock = clock
    this.#sign = sign
  }

  /** Sends with our login's token. Throws ProviderError when there is no login or no answer. */
  async send(request: Omit<VaultRequest, 'token'>): Promise<VaultAnswer> {
    const session = await this.#current()
    const answer = await this.#transport.send({ ...request, token: session.token })
    // A refused call changed nothing, so sending it again is no second mint. OpenBao shows an expired login as a denial.
    if (answer.status !== 403 || this.#clock.monotonic() - session.obtainedAt < youngMs) return answer
    const fresh = await this.#replace(session)
    return this.#transport.send({ ...request, token: fresh.token })
  }

  /** Logs in when there is no usable login. For `doctor`; throws ProviderError. */
  async check(): Promise<void> {
    await this.#current()
  }

  async #current(): Promise<Session> {
    const pending = this.#session ?? this.#begin()
    const session = await pending
    return this.#clock.monotonic() < session.renewAt ? session : this.#replace(session)
  }

  /** One login for all who found `stale` wanting at the same time. */
  async #replace(stale: Session): Promise<Session> {
    const current = await this.#session
    if (current && current !== stale) return current
    return this.#begin()
  }

  #begin(): Promise<Session> {
    const made = this.#login()
    this.#session = made
    // A failed login is not kept: the next call tries again.
    made.catch(() => {
      if (this.#session === made) this.#session = null
    })
    return made
  }

  async #login(): Promise<Session> {
    const { auth, namespace, timeout } = this.#config
    const obtainedAt = this.#clock.monotonic()
    if (auth.method === 'token') {
      const token = new Secret(await readTokenFile(auth.token_file))
      return { token, obtainedAt, renewAt: obtainedAt + tokenFileSeconds * 1000 }
    }
    const path = `auth/${auth.mount}/login`
    const body = await this.#loginBody(auth)
    const answer = await this.#transport.send({ method: 'POST', path, body, namespace, timeoutMs: timeout * 1000 })
    const login = parseAnswer(loginAnswer, answer, `login at ${path}`).auth
    // Zero: it does not end. Renewed with a tenth of its life left, so that no call starts with a dying login.
    const seconds = login.lease_duration > 0 ? login.lease_duration : longestSessionSeconds
    return {
      token: new Secret(login.client_token),
      obtainedAt,
      renewAt: obtainedAt + Math.min(seconds, longestSessionSeconds) * 900,
    }
  }

  async #loginBody(auth: Exclude<VaultAuth, { method: 'token' }>): Promise<JsonObject> {
    if (auth.method === 'approle') return { role_id: auth.role_id, secret_id: auth.secret_id.reveal() }
    if (auth.method === 'kubernetes') return { role: auth.role, jwt: await readTokenFile(auth.jwt_file) }
    const aud = auth.audience ?? this.#config.address
    const jwt = await this.#sign({ sub: 'hallpass', aud, expiresInSeconds: federationTokenSeconds })
    return { role: auth.role, jwt }
  }
}

async function readTokenFile(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ProviderError('unavailable', `cannot read ${path} (${error.code ?? 'unreadable'})`)
  })
  const token = text.trim()
  // A line break inside would end up in a header.
  if (!/^[\x21-\x7e]{1,16384}$/.test(token)) throw new ProviderError('unavailable', `${path} holds no single token`)
  return token
}
