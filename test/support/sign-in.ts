// A person with a browser, the OpenID provider that they sign in at (a process of its own), and `hallpass login` beside them.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { hallpassProgram, type Ran } from './stack.js'

const providerProgram = fileURLToPath(new URL('../../scripts/servers/oidc-provider.mjs', import.meta.url))

export interface ProviderSettings {
  /** Seconds, by oidc-provider's names: IdToken, DeviceCode. */
  readonly ttl?: Readonly<Record<string, number>>
  /** Access tokens are JWTs for this audience. */
  readonly resource?: string
  /** False: the answer lacks the `iss` that the metadata promises. */
  readonly issParameter?: boolean
}

export interface Provider {
  readonly issuer: string
  stop(): Promise<void>
}

export async function startProvider(settings: ProviderSettings = {}): Promise<Provider> {
  const child = spawn(process.execPath, [providerProgram, JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  for await (const line of createInterface({ input: child.stdout })) {
    const { issuer } = JSON.parse(line) as { issuer: string }
    return {
      issuer,
      async stop() {
        child.kill('SIGKILL')
        child.stdout.destroy()
        await ended
      },
    }
  }
  throw new Error('the OpenID provider did not start')
}

/** A browser's part: cookies, redirects. */
export class Browser {
  readonly #cookies = new Map<string, string>()

  /**
   * Follows redirects, with `as` at each page that asks who it is, until there are none or one leads to `until`. Answers
   * where it is then and what it shows; it does not go to `until` itself.
   */
  async visit(
    from: string,
    as: string,
    options: { until?: string; form?: Record<string, string> } = {},
  ): Promise<{ url: string; text: string }> {
    let url = from
    let body = options.form === undefined ? null : new URLSearchParams(options.form)
    for (let hops = 0; hops < 20; hops++) {
      if (new URL(url).pathname.startsWith('/interaction/')) url = `${url}?${as}`
      const answer = await fetch(url, {
        method: body === null ? 'GET' : 'POST',
        redirect: 'manual',
        headers: { cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
        ...(body === null ? {} : { body }),
      })
      body = null
      this.#keep(answer.headers.getSetCookie())
      const next = answer.headers.get('location')
      if (next === null) return { url, text: await answer.text() }
      url = new URL(next, url).href
      if (options.until !== undefined && url.startsWith(options.until)) return { url, text: '' }
    }
    throw new Error(`too many redirects, last to ${url}`)
  }

  #keep(cookies: readonly string[]): void {
    for (const cookie of cookies) {
      const [pair = '', ...attributes] = cookie.split(';')
      const at = pair.indexOf('=')
      const isGone = attributes.some((one) => /expires=Thu, 01 Jan 1970/i.test(one))
      if (isGone) this.#cookies.delete(pair.slice(0, at))
      else this.#cookies.set(pair.slice(0, at), pair.slice(at + 1))
    }
  }
}

/** The answer of a sign-in as the browser brings it: a URL on loopback. */
export async function signIn(address: string, as: string): Promise<string> {
  return (await new Browser().visit(address, as, { until: 'http://127.0.0.1:' + redirectPort(address) })).url
}

const redirectPort = (address: string) => new URL(new URL(address).searchParams.get('redirect_uri') ?? '').port

/** Enters the code that a device shows, and allows it or not. */
export async function signInForDevice(address: string, as: string, allows: boolean): Promise<string> {
  const browser = new Browser()
  const asked = await browser.visit(address, as)
  const xsrf = (text: string) => /name="xsrf" value="([^"]+)"/.exec(text)?.[1] ?? ''
  const code = new URL(address).searchParams.get('user_code') ?? ''
  const device = new URL('/device', address).href
  const entered = await browser.visit(device, as, { form: { xsrf: xsrf(asked.text), user_code: code } })
  const word = allows ? { confirm: 'yes' } : { abort: 'yes' }
  const page = xsrf(entered.text) === '' ? asked.text : entered.text
  return (await browser.visit(device, as, { form: { xsrf: xsrf(page), user_code: code, ...word } })).text
}

export interface RunningCommand {
  /** Resolves with the first match in what it says to the person. */
  says(pattern: RegExp): Promise<string>
  readonly ended: Promise<Ran>
  readonly child: ChildProcess
}

/** `hallpass …`, while it runs. */
export function runBeside(env: Readonly<Record<string, string>>, ...args: string[]): RunningCommand {
  const child = spawn(process.execPath, [hallpassProgram, ...args], { env: { PATH: process.env.PATH, ...env } })
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (more: Buffer) => {
    said.stdout += more.toString()
  })
  child.stderr.on('data', (more: Buffer) => {
    said.stderr += more.toString()
  })
  let isOver = false
  const ended = new Promise<Ran>((resolve) =>
    child.once('close', (code) => {
      isOver = true
      resolve({ code: code ?? 1, ...said })
    }),
  )
  return {
    child,
    ended,
    async says(pattern) {
      for (let round = 0; round < 600; round++) {
        const match = pattern.exec(said.stderr)
        if (match !== null) return match[1] ?? match[0]
        if (isOver) break
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      throw new Error(`it did not say ${pattern}: ${said.stderr}`)
    },
  }
}
