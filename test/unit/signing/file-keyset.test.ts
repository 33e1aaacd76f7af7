import { chmod, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { createLocalJWKSet, decodeProtectedHeader, type JWK, jwtVerify } from 'jose'
import { type FileKeyset, openFileKeyset } from '../../../src/signing/file-keyset.js'
import { readKeyFile } from '../../../src/signing/key-file.js'
import { createMissingKeys, rotateKeys } from '../../../src/signing/key-rotation.js'
import { createKeyGround, type KeyGround } from './key-ground.js'

const issuer = 'https://hallpass.test'
let ground: KeyGround
let keyset: FileKeyset
beforeEach(async () => {
  ground = await createKeyGround()
  await createMissingKeys(ground.directory, ground.clock)
  keyset = await openFileKeyset({ directory: ground.directory, pollMs: 20 })
})
afterEach(async () => {
  keyset.close()
  await ground.remove()
})

const claims = () => ({ iss: issuer, aud: 'https://deploy.test', exp: ground.now.ms / 1000 + 60, sub: 'ci:a' })
const expected = () => ({ issuer, audience: 'https://deploy.test', now: ground.now.ms })
const fileOf = (purpose: string) => join(ground.directory, `${purpose}.jwks.json`)

async function untilRotated(before: string): Promise<void> {
  for (;;) {
    const { kid } = decodeProtectedHeader(await keyset.sign('grants', 'at+jwt', claims()))
    if (kid !== before) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

describe('signing', () => {
  test('signs with the current key of the purpose, and verifies it', async () => {
    const token = await keyset.sign('grants', 'at+jwt', claims())
    const { keys } = await readKeyFile(fileOf('grants'))
    const current = keys.find(({ status }) => status === 'current')
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'ES256', kid: current?.kid, typ: 'at+jwt' })
    expect(await keyset.verify('grants', 'at+jwt', token, expected())).toEqual(claims())
    expect(await keyset.verify('grants', 'at+jwt', token, { ...expected(), audience: null })).toEqual(claims())
  })

  test('never mixes purposes: one key verifies nothing of another', async () => {
    for (const purpose of ['federation', 'internal', 'audit'] as const) {
      const token = await keyset.sign(purpose, 'at+jwt', claims())
      await expect(keyset.verify('grants', 'at+jwt', token, expected())).rejects.toMatchObject({
        code: 'invalid_token',
      })
    }
  })

  test.each<[string, Partial<ReturnType<typeof expected>>, string]>([
    ['issuer', { issuer: 'https://other.test' }, 'at+jwt'],
    ['audience', { audience: 'https://other.test' }, 'at+jwt'],
    ['type', {}, 'task+jwt'],
    ['time', { now: Date.UTC(2026, 0, 1, 0, 1) }, 'at+jwt'],
  ])('refuses another %s', async (_what, change, typ) => {
    const token = await keyset.sign('grants', 'at+jwt', claims())
    const verifying = keyset.verify('grants', typ, token, { ...expected(), ...change })
    await expect(verifying).rejects.toMatchObject({ code: 'invalid_token' })
  })

  test('refuses a token without an end, a changed one, and one without a signature', async () => {
    const { exp: _none, ...endless } = claims()
    const token = await keyset.sign('grants', 'at+jwt', claims())
    const [header = '', payload = '', signature = ''] = token.split('.')
    const forged = Buffer.from(JSON.stringify({ ...claims(), sub: 'ci:b' })).toString('base64url')
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt' })).toString('base64url')
    const bad = [
      await keyset.sign('grants', 'at+jwt', endless),
      [header, forged, signature].join('.'),
      [none, payload, ''].join('.'),
      'not a token',
    ]
    for (const text of bad) {
      await expect(keyset.verify('grants', 'at+jwt', text, expected())).rejects.toMatchObject({ code: 'invalid_token' })
    }
  })

  test('publishes public members only', () => {
    for (const purpose of ['grants', 'federation', 'audit'] as const) {
      const keys = keyset.publicKeys(purpose)
      expect(keys).toHaveLength(2)
      for (const key of keys) expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
    }
  })
})

describe('a rotation under a running program', () => {
  test('has no gap: every token verifies by what was published when it was signed, before and after', async () => {
    // A verifier that fetched our keys once and keeps them, as most do.
    let fetched: { keys: JWK[] } = { keys: keyset.publicKeys('grants') }
    for (let round = 0; round < 3; round++) {
      const before = await keyset.sign('grants', 'at+jwt', claims())
      const { kid = '' } = decodeProtectedHeader(before)
      const { current } = await rotateKeys(ground.directory, 'grants', ground.clock)
      await untilRotated(kid)
      const after = await keyset.sign('grants', 'at+jwt', claims())
      expect(decodeProtectedHeader(after).kid).toBe(current)
      for (const token of [before, after]) {
        expect(await keyset.verify('grants', 'at+jwt', token, expected())).toEqual(claims())
        await jwtVerify(token, createLocalJWKSet(fetched), { currentDate: new Date(ground.now.ms) })
      }
      fetched = { keys: keyset.publicKeys('grants') }
      await jwtVerify(before, createLocalJWKSet(fetched), { currentDate: new Date(ground.now.ms) })
    }
  })

  test('is understood by a second program that has not read it yet', async () => {
    const second = await openFileKeyset({ directory: ground.directory, pollMs: 3_600_000 })
    await rotateKeys(ground.directory, 'grants', ground.clock)
    await keyset.reload()
    const token = await keyset.sign('grants', 'at+jwt', claims())
    expect(await second.verify('grants', 'at+jwt', token, expected())).toEqual(claims())
    const late = await second.sign('grants', 'at+jwt', claims())
    expect(await keyset.verify('grants', 'at+jwt', late, expected())).toEqual(claims())
    second.close()
  })

  test('that cannot be read leaves the keys as they were, and is told', async () => {
    await chmod(fileOf('grants'), 0o644)
    while (keyset.lastError === null) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(keyset.lastError).toMatch(/others may read/)
    await keyset.verify('grants', 'at+jwt', await keyset.sign('grants', 'at+jwt', claims()), expected())
    await chmod(fileOf('grants'), 0o600)
    while (keyset.lastError !== null) await new Promise((resolve) => setTimeout(resolve, 5))
  })
})

describe('starting', () => {
  test('without keys says what to do', async () => {
    await unlink(fileOf('audit'))
    await expect(openFileKeyset({ directory: ground.directory })).rejects.toThrow(
      /audit.jwks.json: is missing: `hallpass keys create`/,
    )
  })

  test('a private part that is not the published key’s is found at once', async () => {
    const { keys } = await readKeyFile(fileOf('grants'))
    const swapped = keys.map((key, index) => ({ ...key, d: keys[1 - index]?.d }))
    await writeFile(fileOf('grants'), JSON.stringify({ keys: swapped }))
    await expect(openFileKeyset({ directory: ground.directory })).rejects.toMatchObject({ name: 'KeyFileError' })
  })

  test('a purpose that was not opened cannot be signed for', async () => {
    const worker = await openFileKeyset({ directory: ground.directory, purposes: ['audit'] })
    await expect(worker.sign('grants', 'at+jwt', claims())).rejects.toThrow(/no grants keys/)
    worker.close()
  })
})
