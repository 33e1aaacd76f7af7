// The development issuer's own key: not one of Hallpass's purposes, since Hallpass is no issuer of its own.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface IssuerKey {
  readonly privateKey: KeyObject
  readonly publicJwk: object
}

const kid = 'dev'

/** Reads the key under the development folder, or makes it. */
export async function readOrCreateIssuerKey(directory: string): Promise<IssuerKey> {
  const file = join(directory, 'issuer.pem')
  const pem = await readFile(file, 'utf8').catch(async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const made = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    await writeFile(file, made, { mode: 0o600 })
    return made
  })
  const privateKey = createPrivateKey(pem)
  return {
    privateKey,
    publicJwk: { ...createPublicKey(privateKey).export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' },
  }
}
