// A key replaced by another under the same name: what the first one signed is over, also where it is remembered.
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { SignJWT } from 'jose'
import { createManualClock, createPool, ourIssuer, refusalText } from './identity-fixtures.js'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hallpass-keys-'))
})
afterAll(() => rm(directory, { recursive: true }))

test.each([
  [
    'an OIDC issuer',
    'sig',
    { type: 'oidc', issuer: 'https://issuer.example', jwks: { file: 'keys.json' } },
    'https://issuer.example:x',
  ],
  [
    'a trust domain',
    'jwt-svid',
    { type: 'spiffe', trust_domain: 'acme.example', bundle: { file: 'keys.json' } },
    'spiffe://acme.example/x',
  ],
])('at %s', async (_what, use, section, sub) => {
  const clock = createManualClock()
  const { authenticate } = createPool({ one: section }, { clock, directory })
  const file = join(directory, 'keys.json')
  const publish = async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'the-key', use }]
    await writeFile(`${file}.new`, JSON.stringify({ keys }))
    await rename(`${file}.new`, file)
    clock.advance(10)
    return privateKey
  }
  const sign = async (key: Awaited<ReturnType<typeof publish>>) =>
    await new SignJWT({ iss: 'https://issuer.example', sub, aud: ourIssuer, exp: clock.now() / 1000 + 600 })
      .setProtectedHeader({ alg: 'ES256', kid: 'the-key' })
      .sign(key)
  const token = await sign(await publish())
  expect(await authenticate(token)).toMatchObject({ id: `one:${sub}` })
  expect(await authenticate(token)).toMatchObject({ id: `one:${sub}` })
  const next = await publish()
  expect(await refusalText(() => authenticate(token), token)).toMatch(/^invalid_token .*signature does not verify/)
  expect(await authenticate(await sign(next))).toMatchObject({ id: `one:${sub}` })
})
