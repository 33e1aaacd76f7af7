// A person's token from an OpenID provider: authorization code with PKCE on a loopback redirect (RFC 8252, 7636), device
// code (RFC 8628), refresh. openid-client verifies state, nonce, `iss` (RFC 9207) and the ID token with its signature.
import * as oidc from 'openid-client'
import type { Clock } from '../core/clock.js'
import type { PublishedLogin } from './broker-metadata.js'
import { ClientError } from './client-error.js'
import { parseServiceUrl } from './http-json.js'
import { openLoopbackRedirect } from './loopback-redirect.js'

export interface Granted {
  /** What is shown to Hallpass. */
  readonly token: string
  readonly expiresAt: number
  readonly refreshToken: string | null
}

/** What is said to the person meanwhile. */
export interface LoginTalk {
  readonly clock: Clock
  note(line: string): void
}

/** Authorization code. The person opens the URL that is noted; nothing is opened by us. Throws ClientError. */
export async function loginByBrowser(
  login: PublishedLogin,
  options: { port: number; timeoutMs: number },
  talk: LoginTalk,
): Promise<Granted> {
  const config = await discover(login)
  const [state, nonce, verifier] = [oidc.randomState(), oidc.randomNonce(), oidc.randomPKCECodeVerifier()]
  const redirect = await openLoopbackRedirect(state, { port: options.port, onStranger: (why) => talk.note(why) })
  try {
    const url = oidc.buildAuthorizationUrl(config, {
      ...requestOf(login),
      redirect_uri: redirect.redirectUri,
      state,
      nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    })
    talk.note(`Open this address in a browser on this machine and sign in:\n\n  ${url.href}\n`)
    const answer = await redirect.received(options.timeoutMs)
    const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
    return await ask(login, async () =>
      grantedBy(login, await oidc.authorizationCodeGrant(config, answer, checks, resourceOf(login)), talk.clock),
    )
  } finally {
    redirect.close()
  }
}

/** Device code: for a machine without a browser. Throws ClientError. */
export async function loginByDevice(login: PublishedLogin, talk: LoginTalk): Promise<Granted> {
  const config = await discover(login)
  return await ask(login, async () => {
    const device = await oidc.initiateDeviceAuthorization(config, requestOf(login))
    const direct = device.verification_uri_complete
    talk.note(
      `Open ${device.verification_uri} on any device and enter the code ${device.user_code}` +
        `${direct === undefined ? '' : `\n(or open ${direct} and compare the code)`}`,
    )
    return grantedBy(login, await oidc.pollDeviceAuthorizationGrant(config, device, resourceOf(login)), talk.clock)
  })
}

/** A new token for an old login. Throws ClientError. */
export async function refreshLogin(login: PublishedLogin, refreshToken: string, clock: Clock): Promise<Granted> {
  const config = await discover(login)
  return await ask(login, async () => {
    const granted = grantedBy(login, await oidc.refreshTokenGrant(config, refreshToken, resourceOf(login)), clock)
    return { ...granted, refreshToken: granted.refreshToken ?? refreshToken }
  })
}

/** Tells the issuer that the refresh token is of no use any more (RFC 7009). Throws ClientError. */
export async function revokeRefreshToken(login: PublishedLogin, refreshToken: string): Promise<void> {
  const config = await discover(login)
  if (config.serverMetadata().revocation_endpoint === undefined) return
  await ask(login, () => oidc.tokenRevocation(config, refreshToken, { token_type_hint: 'refresh_token' }))
}

async function discover(login: PublishedLogin): Promise<oidc.Configuration> {
  const issuer = parseServiceUrl(login.issuer, "the issuer's address")
  const execute = [oidc.enableNonRepudiationChecks]
  // parseServiceUrl has let http pass for loopback alone.
  if (issuer.protocol === 'http:') execute.push(oidc.allowInsecureRequests)
  return await ask(login, async () => {
    const config = await oidc.discovery(issuer, login.client_id, undefined, oidc.None(), { execute, timeout: 15 })
    if (config.serverMetadata().issuer === login.issuer) return config
    throw new ClientError('login_failed', `${login.issuer} calls itself another issuer`)
  })
}

function requestOf(login: PublishedLogin): Record<string, string> {
  return {
    scope: login.scopes.join(' '),
    // OIDC Core section 11: a refresh token for use without the person present needs their word.
    ...(login.scopes.includes('offline_access') ? { prompt: 'consent' } : {}),
    ...resourceOf(login),
  }
}

/** RFC 8707, for access tokens: which resource they are to be for. An audience that is no URL cannot be said so. */
function resourceOf({ token, audience }: PublishedLogin): Record<string, string> {
  return token === 'access_token' && URL.canParse(audience) ? { resource: audience } : {}
}

type Answer = oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers

function grantedBy(login: PublishedLogin, answer: Answer, clock: Clock): Granted {
  const token = login.token === 'id_token' ? answer.id_token : answer.access_token
  if (token === undefined) throw new ClientError('login_failed', `${login.issuer} gave no ${login.token}`)
  const seconds = login.token === 'id_token' ? answer.claims()?.exp : undefined
  const lastsMs = (answer.expiresIn() ?? 60) * 1000
  return {
    token,
    expiresAt: seconds === undefined ? clock.now() + lastsMs : seconds * 1000,
    refreshToken: answer.refresh_token ?? null,
  }
}

/** What the library throws, in our words: `login_failed` when the issuer or its answer was the reason, else `unavailable`. */
async function ask<T>(login: PublishedLogin, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (error instanceof ClientError) throw error
    if (error instanceof oidc.AuthorizationResponseError || error instanceof oidc.ResponseBodyError) {
      const more = error.error_description === undefined ? '' : ` (${error.error_description})`
      throw new ClientError('login_failed', `${login.issuer} answered ${error.error}${more}`, { cause: error })
    }
    const code = error instanceof oidc.ClientError ? error.code : undefined
    if (code === 'OAUTH_TIMEOUT') {
      throw new ClientError('login_failed', 'the sign-in was not finished in time', { cause: error })
    }
    if (code === undefined) {
      throw new ClientError('unavailable', `${login.issuer} could not be reached (${messageOf(error)})`, {
        cause: error,
      })
    }
    throw new ClientError('login_failed', `the answer of ${login.issuer} was refused: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
