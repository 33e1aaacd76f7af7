// A real OpenID provider (npm oidc-provider) on loopback, for the tests of `hallpass login`. Its only person signs in without
// a password: /interaction/<uid>?as=olga, or ?deny=1. Settings come as JSON in the first argument; it prints its issuer.
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import Provider from 'oidc-provider'

const { ttl = {}, resource = null, issParameter = true } = JSON.parse(process.argv[2] ?? '{}')

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const key = { ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'es256-1' }
const device = 'urn:ietf:params:oauth:grant-type:device_code'

const page = (ctx, text) => {
  ctx.type = 'text/html'
  ctx.body = text
}

const configuration = {
  clients: [
    {
      client_id: 'hallpass-cli',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token', device],
      redirect_uris: ['http://127.0.0.1/callback'],
      response_types: ['code'],
      id_token_signed_response_alg: 'ES256',
    },
  ],
  jwks: { keys: [key] },
  cookies: { keys: ['only for tests'] },
  scopes: ['openid', 'offline_access', 'email', 'groups'],
  claims: { openid: ['sub'], email: ['email'], groups: ['groups'] },
  conformIdTokenClaims: false,
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@acme.example`, groups: id === 'olga' ? ['sre'] : [] }),
  }),
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: (_ctx, client, code) =>
    client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  rotateRefreshToken: true,
  ttl: { IdToken: 300, AccessToken: 300, ...ttl },
  features: {
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: resource !== null,
      defaultResource: () => resource ?? undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'openid email groups',
        audience: resource,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: (ctx, form) => page(ctx, form),
      userCodeConfirmSource: (ctx, form) => page(ctx, form),
      successSource: (ctx) => page(ctx, 'device: done'),
    },
  },
}

const server = createServer((request, response) => answer(request, response))
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const issuer = `http://127.0.0.1:${server.address().port}`
const provider = new Provider(issuer, configuration)
const serve = provider.callback()

async function answer(request, response) {
  const url = new URL(request.url, issuer)
  if (!url.pathname.startsWith('/interaction/')) return serve(request, response)
  const { prompt, params, session } = await provider.interactionDetails(request, response)
  if (url.searchParams.has('deny')) {
    const denied = { error: 'access_denied', error_description: 'the person said no' }
    return provider.interactionFinished(request, response, denied)
  }
  if (prompt.name === 'login') {
    const login = { accountId: url.searchParams.get('as') ?? 'olga' }
    return provider.interactionFinished(request, response, { login })
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
  grant.addOIDCScope('openid email groups offline_access')
  for (const asked of [params.resource ?? []].flat()) grant.addResourceScope(asked, 'openid email groups')
  const result = { consent: { grantId: await grant.save() } }
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true })
}

// What a provider that knows nothing of RFC 9207, or is somebody else, says of itself.
if (!issParameter) provider.on('authorization.success', (_ctx, out) => delete out.iss)

process.stdout.write(`${JSON.stringify({ issuer })}\n`)
