import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { publishedDocuments } from '../../../src/signing/discovery.js'
import { type FileKeyset, openFileKeyset } from '../../../src/signing/file-keyset.js'
import { createMissingKeys } from '../../../src/signing/key-rotation.js'
import { createKeyGround, type KeyGround } from './key-ground.js'

const issuer = 'https://hallpass.test'
let ground: KeyGround
let keyset: FileKeyset
beforeEach(async () => {
  ground = await createKeyGround()
  await createMissingKeys(ground.directory, ground.clock)
  keyset = await openFileKeyset({ directory: ground.directory })
})
afterEach(async () => {
  keyset.close()
  await ground.remove()
})

const read = (path: string, of = issuer) =>
  publishedDocuments(of, keyset, ['introspect'])[path]?.() as Record<string, unknown>

describe('what is published', () => {
  test('leads from the issuer to the keys that verify what it signs', async () => {
    for (const [purpose, prefix] of [
      ['grants', ''],
      ['federation', '/federation'],
    ] as const) {
      const document = read(`${prefix}/.well-known/openid-configuration`)
      expect(document).toMatchObject({
        issuer: issuer + prefix,
        jwks_uri: `${issuer}${prefix}/.well-known/jwks.json`,
        id_token_signing_alg_values_supported: ['ES256'],
        subject_types_supported: ['public'],
        response_types_supported: ['id_token'],
      })
      const jwks = read(String(document.jwks_uri).slice(issuer.length)) as { keys: [] }
      const token = await keyset.sign(purpose, 'JWT', { iss: document.issuer as string, exp: 4e9 })
      await jwtVerify(token, createLocalJWKSet(jwks), { issuer: issuer + prefix })
    }
  })

  test('holds no key of the task tokens or the audit, and nothing private', () => {
    const text = JSON.stringify(Object.values(publishedDocuments(issuer, keyset, [])).map((make) => make()))
    for (const purpose of ['internal', 'audit'] as const) {
      for (const { kid } of keyset.publicKeys(purpose)) expect(text).not.toContain(kid)
    }
    for (const purpose of ['grants', 'federation'] as const) {
      for (const { kid } of keyset.publicKeys(purpose)) expect(text).toContain(kid)
    }
    expect(text).not.toContain('"d"')
  })

  test('names no endpoint that is not served', () => {
    const path = '/.well-known/oauth-authorization-server'
    const document = read(path)
    expect(document).toMatchObject({
      issuer,
      introspection_endpoint: `${issuer}/oauth/introspect`,
      grant_types_supported: [],
    })
    expect(document).not.toHaveProperty('token_endpoint')
    expect(document).not.toHaveProperty('revocation_endpoint')
    expect(publishedDocuments(issuer, keyset, ['token', 'revoke'])[path]?.()).toMatchObject({
      token_endpoint: `${issuer}/oauth/token`,
      revocation_endpoint: `${issuer}/oauth/revoke`,
      grant_types_supported: ['urn:ietf:params:oauth:grant-type:token-exchange'],
    })
  })

  test('keeps the issuer exactly as it is configured, a last slash included', () => {
    const document = read('/.well-known/openid-configuration', `${issuer}/`)
    expect(document).toMatchObject({ issuer: `${issuer}/`, jwks_uri: `${issuer}/.well-known/jwks.json` })
  })
})
