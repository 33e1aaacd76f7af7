// What we publish about ourselves. Nothing is named here that is not served.
import type { JWK } from 'jose'
import type { Keyset } from './keyset.js'

/** The OAuth faces that this program serves; a client believes what this document says. */
export type OAuthFace = 'token' | 'introspect' | 'revoke'

/** `<issuer>/federation`: our own identity towards providers, and the only one that is registered there. */
export function federationIssuer(issuer: string): string {
  return `${withoutSlash(issuer)}/federation`
}

/** Published documents by their path below the issuer; each value makes the document anew, since keys rotate. */
export function publishedDocuments(
  issuer: string,
  keyset: Keyset,
  faces: readonly OAuthFace[],
): Readonly<Record<string, () => object>> {
  return {
    '/.well-known/openid-configuration': () => openidConfiguration(issuer),
    '/.well-known/jwks.json': () => jwks(keyset.publicKeys('grants')),
    '/.well-known/oauth-authorization-server': () => authorizationServerMetadata(issuer, faces),
    '/federation/.well-known/openid-configuration': () => openidConfiguration(federationIssuer(issuer)),
    '/federation/.well-known/jwks.json': () => jwks(keyset.publicKeys('federation')),
  }
}

/**
 * OpenID Connect Discovery 1.0 section 3, as far as a verifier of our tokens needs it (AWS and Vault read exactly these).
 * There is no authorization endpoint: nobody logs in here.
 */
export function openidConfiguration(issuer: string): object {
  return {
    issuer,
    jwks_uri: `${withoutSlash(issuer)}/.well-known/jwks.json`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    scopes_supported: ['openid'],
    claims_supported: ['iss', 'sub', 'aud', 'exp', 'iat', 'jti'],
  }
}

/** RFC 8414 section 2. */
export function authorizationServerMetadata(issuer: string, faces: readonly OAuthFace[]): object {
  const base = withoutSlash(issuer)
  return {
    issuer,
    jwks_uri: `${base}/.well-known/jwks.json`,
    // No response type: there is no authorization endpoint, and so no implicit grant, which an absent list would mean.
    response_types_supported: [],
    grant_types_supported: faces.includes('token') ? ['urn:ietf:params:oauth:grant-type:token-exchange'] : [],
    ...(faces.includes('token')
      ? { token_endpoint: `${base}/oauth/token`, token_endpoint_auth_methods_supported: ['none'] }
      : {}),
    // Section 2 allows the types of access tokens here: callers show their subject token.
    ...(faces.includes('introspect')
      ? {
          introspection_endpoint: `${base}/oauth/introspect`,
          introspection_endpoint_auth_methods_supported: ['Bearer'],
        }
      : {}),
    ...(faces.includes('revoke')
      ? { revocation_endpoint: `${base}/oauth/revoke`, revocation_endpoint_auth_methods_supported: ['Bearer'] }
      : {}),
  }
}

/** RFC 7517 section 5. */
export function jwks(keys: readonly JWK[]): object {
  return { keys: [...keys] }
}

function withoutSlash(issuer: string): string {
  return issuer.replace(/\/+$/, '')
}
