// A stack's operators' issuers, one per way in which a login goes or fails.
import type { Provider } from './sign-in.js'
import type { StackSettings } from './stack-settings.js'

export type LoginProviders = Record<'staff' | 'brief' | 'access' | 'opaque' | 'elsewhere' | 'silent', Provider>

export function withLogins(base: StackSettings, providers: LoginProviders): StackSettings {
  const scopes = ['openid', 'email', 'groups', 'offline_access']
  const entry = (provider: Provider, more: object = {}) => ({
    ...base.issuers.staff,
    issuer: provider.issuer,
    audience: 'hallpass-cli',
    login: { client_id: 'hallpass-cli', scopes },
    ...more,
  })
  const accessToken = { client_id: 'hallpass-cli', scopes, token: 'access_token' }
  const ours = { audience: 'https://ours.acme.example', login: accessToken, typ: ['at+jwt'], person: undefined }
  return {
    ...base,
    issuers: {
      ...base.issuers,
      staff: entry(providers.staff),
      brief: entry(providers.brief),
      opaque: entry(providers.opaque, { login: accessToken }),
      access: entry(providers.access, ours),
      elsewhere: entry(providers.elsewhere, ours),
      silent: entry(providers.silent),
    },
  }
}
