import { describe, expect, test } from '@jest/globals'
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT } from 'jose'
import type { Json } from '../../../src/core/canonical-json.js'
import { type JsonObject, type LeaseToIssue, ProviderError } from '../../../src/providers/provider.js'
import { createSignedJwtProvider, type SignedJwtParts } from '../../../src/providers/signed-jwt.js'
import { signedJwtConfig } from '../../../src/providers/signed-jwt-config.js'

const issuer = 'https://hallpass.test'
const start = Date.UTC(2026, 0, 1)
const { privateKey } = await generateKeyPair('ES256')

function create(overrides: Partial<SignedJwtParts> = {}) {
  const now = { ms: start }
  const provider = createSignedJwtProvider('tokens', signedJwtConfig.parse({ type: 'jwt' }), {
    clock: { now: () => now.ms, monotonic: () => now.ms },
    issuer,
    sign: (claims) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' }).sign(privateKey),
    isActive: async () => true,
    reservedAudiences: ['https://vault.test:8200', 'hallpass-operators'],
    ...overrides,
  })
  return { provider, now }
}

const recipe = { audience: 'https://deploy.test', scope: ['deploy', 'read'], verified_by: 'introspection' } as const
const lease = (overrides: Partial<LeaseToIssue> = {}): LeaseToIssue => ({
  id: 'lease_01',
  taskId: 'task_01',
  chain: [{ principal: 'ci:repo:acme/web', task: 'task_01' }],
  principal: 'ci:repo:acme/web',
  account: 'ci:1296269',
  action: 'deploy.run',
  access: 'deploy',
  resource: 'repo:acme/web',
  declared: {},
  deadline: start + 120_900,
  remainingMs: 120_900,
  jkt: null,
  ...overrides,
})
const noNote = async () => {}
const placeholder = (path: string) => `$` + `{${path}}`
const problemsOf = (raw: JsonObject, standing = false) =>
  create().provider.validate(raw, { name: 'deploy.run', standing, maxTtlSeconds: 600 })

describe('a minted token', () => {
  test('says who, for whom, what, in which task and until when, and nothing else', async () => {
    const { credential, handle, providerExpiresAt, providerRef, fingerprintOf } = await create().provider.issue(
      lease(),
      recipe,
      noNote,
    )
    const token = String(credential.token)
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'ES256', typ: 'at+jwt' })
    expect(decodeJwt(token)).toEqual({
      iss: issuer,
      sub: 'ci:repo:acme/web',
      aud: 'https://deploy.test',
      iat: start / 1000,
      exp: start / 1000 + 120,
      jti: 'lease_01',
      task: 'task_01',
      intent: { action: 'deploy.run', resource: 'repo:acme/web' },
      scope: 'deploy read',
    })
    expect(credential).toEqual({ type: 'jwt', token, token_type: 'Bearer', expires_at: '2026-01-01T00:02:00.000Z' })
    expect(providerExpiresAt).toBeLessThanOrEqual(lease().deadline)
    expect(providerRef).toBe('lease_01')
    expect(fingerprintOf).toEqual([token])
    expect(JSON.stringify(handle)).not.toContain(token)
  })

  test('names the chain of those who act, the caller outermost, and the key it is bound to', async () => {
    const chain = ['ci:agent', 'ci:parent', 'ci:root'].map((principal) => ({ principal, task: 'task_x' }))
    const details: Json[] = [{ type: 'deploy', environment: 'staging' }]
    const asked = {
      audience: ['https://a.test', 'https://b.test'],
      authorization_details: details,
      verified_by: 'offline',
    }
    const { credential } = await create().provider.issue(
      lease({ chain, principal: 'ci:agent', jkt: 'thumb' }),
      asked,
      noNote,
    )
    expect(decodeJwt(String(credential.token))).toMatchObject({
      sub: 'ci:agent',
      aud: ['https://a.test', 'https://b.test'],
      act: { sub: 'ci:agent', act: { sub: 'ci:parent', act: { sub: 'ci:root' } } },
      authorization_details: details,
      cnf: { jkt: 'thumb' },
    })
    expect(credential.token_type).toBe('DPoP')
  })

  test('is bound to the certificate of a caller that has no other key, and names the sub-agents', async () => {
    const mint = async (over: Partial<LeaseToIssue>) => {
      const { credential } = await create().provider.issue(
        lease(over),
        { audience: 'https://deploy.test', verified_by: 'introspection' },
        noNote,
      )
      return { type: credential.token_type, claims: decodeJwt(String(credential.token)) }
    }
    expect(await mint({ x5t: 'cert' })).toMatchObject({ type: 'Bearer', claims: { cnf: { 'x5t#S256': 'cert' } } })
    expect((await mint({ jkt: 'thumb', x5t: 'cert' })).claims.cnf).toEqual({ jkt: 'thumb' })
    const plain = (await mint({})).claims
    for (const absent of ['cnf', 'act', 'scope', 'authorization_details']) expect(plain).not.toHaveProperty(absent)
    const chain = [
      { principal: 'ci:parent', task: 'task_02', agent: 'tester' },
      { principal: 'ci:parent', task: 'task_01' },
    ]
    expect((await mint({ chain })).claims.act).toEqual({ sub: 'ci:parent', agent: 'tester', act: { sub: 'ci:parent' } })
  })

  test.each<JsonObject>([
    {},
    { jti: 7, exp: 1, verified_by: 'offline' },
    { jti: 'lease_01', exp: '1', verified_by: 'offline' },
    { jti: 'lease_01', exp: 1, verified_by: 'nobody' },
  ])('has no such handle: %j', async (handle) => {
    await expect(create().provider.probe(handle)).rejects.toThrow('no handle of a signed token')
  })

  test('is not minted without a whole second left', async () => {
    const late = lease({ deadline: start + 999, remainingMs: 999 })
    await expect(create().provider.issue(late, recipe, noNote)).rejects.toBeInstanceOf(ProviderError)
    const spent = lease({ remainingMs: 0 })
    await expect(create().provider.issue(spent, recipe, noNote)).rejects.toBeInstanceOf(ProviderError)
  })

  test('that cannot be signed is a provider’s error without the reason in its text', async () => {
    const { provider } = create({ sign: () => Promise.reject(new Error('private text')) })
    const error = await provider.issue(lease(), recipe, noNote).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ProviderError)
    expect((error as Error).message).not.toContain('private text')
    expect(await provider.diagnose()).toEqual([expect.stringMatching(/keys create/)])
  })
})

describe('the end of a token', () => {
  test('verified by introspection is what the ledger says', async () => {
    let isActive = true
    const { provider } = create({ isActive: async () => isActive })
    const { handle } = await provider.issue(lease(), recipe, noNote)
    expect(provider.guarantees(recipe)).toMatchObject({
      revocation: 'immediate',
      minTtlSeconds: 1,
      propagationSeconds: 0,
    })
    expect(await provider.revoke(handle, 0, { forced: false })).toBe('revoked')
    // Whoever revokes moves the lease out of `active` first; had that not happened, the probe would say so.
    expect(await provider.probe(handle)).toBe('alive')
    isActive = false
    expect(await provider.probe(handle)).toBe('dead')
  })

  test('is unknown while the ledger cannot be asked, and certain after the expiry', async () => {
    const { provider, now } = create({ isActive: () => Promise.reject(new Error('down')) })
    const { handle } = await provider.issue(lease(), recipe, noNote)
    expect(await provider.probe(handle)).toBe('unknown')
    now.ms = start + 120_000
    expect(await provider.probe(handle)).toBe('dead')
    expect(await provider.revoke(handle, 0, { forced: false })).toBe('gone')
  })

  test('verified offline is its expiry, and no revocation is claimed before', async () => {
    const { provider, now } = create({ isActive: async () => false })
    const offline = { ...recipe, verified_by: 'offline' }
    expect(provider.guarantees(offline).revocation).toBe('natural_expiry')
    const { handle } = await provider.issue(lease(), offline, noNote)
    await expect(provider.revoke(handle, 0, { forced: true })).rejects.toMatchObject({ kind: 'permanent' })
    expect(await provider.probe(handle)).toBe('alive')
    now.ms = start + 120_000
    expect(await provider.probe(handle)).toBe('dead')
    expect(await provider.revoke(handle, 0, { forced: true })).toBe('gone')
  })

  test('a lease without a handle was never handed out', async () => {
    const { provider } = create()
    expect(await provider.findByMark(provider.plan(lease(), recipe))).toBe('nothing')
  })
})

describe('a recipe', () => {
  test('is taken with placeholders', () => {
    expect(
      problemsOf({
        audience: `https://${placeholder('resource.host')}`,
        scope: [`deploy:${placeholder('declared.stage')}`],
        verified_by: 'offline',
      }),
    ).toEqual([])
  })

  test.each<[JsonObject, (string | number)[]]>([
    [{ scope: ['a'], verified_by: 'offline' }, ['audience']],
    [{ audience: [], verified_by: 'offline' }, ['audience']],
    [{ audience: 'https://a.test' }, ['verified_by']],
    [{ audience: 'https://a.test', verified_by: 'hope' }, ['verified_by']],
    [{ audience: 'https://a.test', verified_by: 'offline', scope: ['two words'] }, ['scope', 0]],
    [
      { audience: 'https://a.test', verified_by: 'offline', authorization_details: [{}] },
      ['authorization_details', 0, 'type'],
    ],
    [{ audience: 'https://a.test', verified_by: 'offline', scopes: ['a'] }, []],
  ])('%j is refused with the place named', (raw, path) => {
    expect(problemsOf(raw)).toEqual([{ path, message: expect.any(String) }])
  })

  test.each([
    issuer,
    `${issuer}/`,
    'HTTPS://HALLPASS.TEST',
    `${issuer}/federation`,
    `${issuer}/tasks`,
    'https://vault.test:8200',
    'hallpass-operators',
    'sts.amazonaws.com',
  ])('for %s is refused: what it mints would be good at Hallpass itself, or log in as Hallpass', (audience) => {
    for (const value of [audience, ['https://a.test', audience]]) {
      expect(problemsOf({ audience: value, verified_by: 'offline' })).toEqual([
        { path: ['audience'], message: expect.stringMatching(/Hallpass's own/) },
      ])
      // Also when a placeholder became it: then at the request.
      const raw = { audience: value, verified_by: 'offline' }
      expect(() => create().provider.plan(lease(), raw)).toThrow(expect.objectContaining({ code: 'unfillable_recipe' }))
    }
  })

  test('is no standing secret', () => {
    expect(problemsOf(recipe, true)).toHaveLength(1)
  })
})
