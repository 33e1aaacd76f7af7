// A small honest STS and IAM for machines without moto: it passes the same contract suite. Loopback, memory only. Tests
// also use it to see what a provider was asked and to make it fail, stall or answer nonsense.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRemoteJWKSet } from 'jose'
import { AwsFault, faultXml, resultXml } from './aws-query.js'
import { createRole, iamCalls } from './iam-calls.js'
import { type Caller, type StandInRole, type StandInSession, type StsState, stsCalls } from './sts-calls.js'

export interface StsStandInOptions {
  /** 12 digits. Default 123456789012, as moto has it. */
  account?: string
  /** 0 (default) takes a free port. */
  port?: number
}

export interface SeenCall {
  action: string
  form: URLSearchParams
  accessKeyId: string | null
}

/** How the next calls are answered instead. `body` alone is sent as it is; `hang` accepts and never answers. */
export type Trouble =
  | { status: number; code: string; message?: string }
  | { status: number; body: string }
  | { drip: true }
  | { hang: true }

export class StsStandIn {
  readonly calls: SeenCall[] = []
  delayMs = 0
  readonly #state: StsState
  readonly #server: Server
  #trouble: { trouble: Trouble; times: number; action: string | undefined } | null = null

  constructor(account: string) {
    this.#state = { account, roles: new Map(), sessions: new Map(), identityProvider: null }
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy())
    })
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  createRole(name: string, options: { maxSessionSeconds?: number; trust?: string } = {}): StandInRole {
    return createRole(this.#state, name, options.maxSessionSeconds, options.trust)
  }

  /** As create-open-id-connect-provider does. The keys are fetched when the first token comes. */
  registerIdentityProvider(issuer: string, jwksUrl: string): void {
    this.#state.identityProvider = { issuer, keys: createRemoteJWKSet(new URL(jwksUrl)) }
  }

  findRole(name: string): StandInRole | undefined {
    return this.#state.roles.get(name)
  }

  findSession(accessKeyId: string): StandInSession | undefined {
    return this.#state.sessions.get(accessKeyId)
  }

  /** Every session that was ever opened, ended ones too. */
  sessions(): StandInSession[] {
    return [...this.#state.sessions.values()]
  }

  /** Answers the next `times` calls (of that action, or any) with trouble. */
  failNext(trouble: Trouble, options: { times?: number; action?: string } = {}): void {
    this.#trouble = { trouble, times: options.times ?? 1, action: options.action }
  }

  /** Ends all trouble. */
  recover(): void {
    this.#trouble = null
    this.delayMs = 0
  }

  /** Refuses connections until `listen` is called again with the same port. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = new URLSearchParams(await readBody(request))
    const action = form.get('Action') ?? ''
    const accessKeyId = /Credential=([A-Z0-9]+)\//.exec(request.headers.authorization ?? '')?.[1] ?? null
    this.calls.push({ action, form, accessKeyId })
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs))
    const trouble = this.#takeTrouble(action)
    const service = action in iamCalls ? 'iam' : 'sts'
    if (trouble && 'hang' in trouble) return
    if (trouble && 'drip' in trouble) return drip(response)
    if (trouble && 'body' in trouble) return send(response, trouble.status, trouble.body)
    try {
      if (trouble) throw new AwsFault(trouble.status, trouble.code, trouble.message ?? 'as told')
      const call = iamCalls[action] ?? stsCalls[action]
      if (!call) throw new AwsFault(400, 'InvalidAction', `Could not find operation ${action}`)
      const caller = this.#identify(accessKeyId, request.headers['x-amz-security-token'])
      send(response, 200, resultXml(service, action, await call(this.#state, form, caller)))
    } catch (error) {
      const fault = error instanceof AwsFault ? error : new AwsFault(500, 'InternalFailure', 'the stand-in is broken')
      send(response, fault.status, faultXml(service, fault))
    }
  }

  /** Signatures are not checked; a session's key is known only with its own token and until its end. */
  #identify(accessKeyId: string | null, token: string | string[] | undefined): Caller {
    const session = accessKeyId === null ? undefined : this.#state.sessions.get(accessKeyId)
    if (accessKeyId?.startsWith('ASIA') && (!session || session.sessionToken !== token)) {
      throw new AwsFault(403, 'InvalidClientTokenId', 'The security token included in the request is invalid')
    }
    if (session && session.expiresAt <= Date.now()) {
      throw new AwsFault(403, 'ExpiredToken', 'The security token included in the request is expired')
    }
    return { accessKeyId, session: session ?? null }
  }

  #takeTrouble(action: string): Trouble | null {
    const planned = this.#trouble
    if (!planned || (planned.action !== undefined && planned.action !== action)) return null
    planned.times--
    if (planned.times <= 0) this.#trouble = null
    return planned.trouble
  }
}

/** Starts one on loopback. End it with `stop()`. */
export async function startStsStandIn(options: StsStandInOptions = {}): Promise<StsStandIn> {
  const standIn = new StsStandIn(options.account ?? '123456789012')
  await standIn.listen(options.port ?? 0)
  return standIn
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/xml' }).end(body)
}

/** One byte at a time, for ever: a time-out that each byte renews never ends. */
function drip(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/xml' })
  const timer = setInterval(() => response.write(' '), 50)
  response.on('close', () => clearInterval(timer))
}
