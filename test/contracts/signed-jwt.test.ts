import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { systemClock } from '../../src/core/clock.js'
import { createSignedJwtProvider } from '../../src/providers/signed-jwt.js'
import { openFileKeyset } from '../../src/signing/file-keyset.js'
import { createMissingKeys } from '../../src/signing/key-rotation.js'
import { describeProviderContract, leaseToIssue, type ProviderUnderTest } from './provider.js'

const issuer = 'https://hallpass.test'
const audience = 'https://deploy.test'

async function setUp(verifiedBy: 'introspection' | 'offline'): Promise<ProviderUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), 'hallpass-jwt-'))
  await createMissingKeys(join(directory, 'keys'), systemClock)
  const keyset = await openFileKeyset({ directory: join(directory, 'keys') })
  const keys = createLocalJWKSet({ keys: keyset.publicKeys('grants') })
  // The ledger's part of introspection: which leases it holds active. A lease leaves it before it is revoked.
  const active = new Set<string>()
  const provider = createSignedJwtProvider(
    'tokens',
    { type: 'jwt', timeout: 5, concurrency: 16 },
    {
      clock: systemClock,
      issuer,
      sign: (claims) => keyset.sign('grants', 'at+jwt', claims),
      isActive: async (lease) => active.has(lease),
      reservedAudiences: [],
    },
  )
  const issue = provider.issue.bind(provider)
  provider.issue = async (lease, recipe, note) => {
    const issued = await issue(lease, recipe, note)
    active.add(lease.id)
    return issued
  }
  const revoke = provider.revoke.bind(provider)
  provider.revoke = (handle, deadline, options) => {
    active.delete(String(handle.jti))
    return revoke(handle, deadline, options)
  }
  return {
    provider,
    recipe: { audience, scope: ['deploy'], verified_by: verifiedBy },
    makeLease: leaseToIssue,
    // What a resource server does: the signature, and where it is told to, the ledger's word.
    use: async ({ token }) => {
      try {
        const { payload } = await jwtVerify(String(token), keys, { issuer, audience, typ: 'at+jwt' })
        return verifiedBy === 'offline' || active.has(String(payload.jti))
      } catch {
        return false
      }
    },
    waitableTtlSeconds: 8,
    stop: async () => {
      keyset.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

describeProviderContract('jwt, verified by introspection', () => setUp('introspection'))
describeProviderContract('jwt, verified offline', () => setUp('offline'))
