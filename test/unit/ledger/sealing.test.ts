import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { Secret } from '../../../src/core/secret.js'
import { createSealing } from '../../../src/ledger/sealing.js'

const aKey = () => randomBytes(32).toString('base64')
const [one, two] = [aKey(), aKey()]
const deployment = 'https://hallpass.test'
const handle = { accessor: 'a-very-secret-accessor', lease_id: 'database/creds/x/1' }
const sealing = createSealing(new Secret(one), deployment)
const sealed = sealing.seal(handle, 'lease_1', 'vault')

describe('a sealed handle', () => {
  test('opens again, and shows nothing of itself', () => {
    expect(sealing.unseal(sealed, 'lease_1', 'vault')).toEqual(handle)
    const bytes = Buffer.from(sealed.split('.')[1] ?? '', 'base64url').toString('latin1')
    expect(`${sealed} ${bytes}`).not.toContain('accessor')
    expect(sealing.seal(handle, 'lease_1', 'vault')).not.toBe(sealed)
  })

  test.each([
    ['another lease', 'lease_2', 'vault', deployment],
    ['another provider', 'lease_1', 'aws', deployment],
    ['another deployment', 'lease_1', 'vault', 'https://other.test'],
  ])('does not open for %s', (_, lease, provider, where) => {
    expect(() => createSealing(new Secret(one), where).unseal(sealed, lease, provider)).toThrow()
  })

  test('does not open with another key', () => {
    expect(() => createSealing(new Secret(two), deployment).unseal(sealed, 'lease_1', 'vault')).toThrow(
      /not configured/,
    )
  })

  test('does not open after any byte of it was changed', () => {
    const [id, text = ''] = sealed.split('.')
    const bytes = Buffer.from(text, 'base64url')
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes)
      changed.writeUInt8(changed.readUInt8(i) ^ 1, i)
      expect(() => sealing.unseal(`${id}.${changed.toString('base64url')}`, 'lease_1', 'vault')).toThrow()
    }
  })

  test.each(['', '.', 'x', 'x.y', `${sealed.split('.')[0]}.`, `${sealed.slice(0, 30)}`])('%j is none', (text) => {
    expect(() => sealing.unseal(text, 'lease_1', 'vault')).toThrow()
  })

  test('does not open when its tag is cut to fewer bytes', () => {
    const [id, text = ''] = sealed.split('.')
    const bytes = Buffer.from(text, 'base64url')
    expect(() => sealing.unseal(`${id}.${bytes.subarray(0, 20).toString('base64url')}`, 'lease_1', 'vault')).toThrow()
  })
})

describe('rotation', () => {
  const rotated = createSealing(new Secret(`${two}, ${one}`), deployment)

  test('opens what the old key sealed and seals with the new one', () => {
    expect(rotated.unseal(sealed, 'lease_1', 'vault')).toEqual(handle)
    const fresh = rotated.seal(handle, 'lease_1', 'vault')
    expect(createSealing(new Secret(two), deployment).unseal(fresh, 'lease_1', 'vault')).toEqual(handle)
    expect(() => sealing.unseal(fresh, 'lease_1', 'vault')).toThrow()
  })

  test.each(['', 'short', Buffer.alloc(31).toString('base64'), `${one},`])(
    'refuses %j as keys, without showing it',
    (keys) => {
      const attempt = () => createSealing(new Secret(keys), deployment)
      expect(attempt).toThrow('32 bytes in base64')
      if (keys.length > 5) expect(attempt).not.toThrow(keys)
    },
  )
})
