// Whoever is taken can be named by an operator, and so be locked and revoked: a subject is as long as that allows.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import { leaseFilter } from '../../../src/api/leases.js'
import { lockRequest } from '../../../src/api/locks.js'
import { revocationRequest } from '../../../src/api/revocations.js'
import { createManualClock, createPool, ourIssuer, refusalText } from './identity-fixtures.js'

const clock = createManualClock()
let server: OidcIssuer
beforeAll(async () => {
  server = await startOidcIssuer({ clock })
})
afterAll(() => server.stop())

const repository = { claim: 'repository', type: 'string' }
const pool = (extra: object = {}) => createPool({ ci: { type: 'oidc', issuer: server.issuer, ...extra } }, { clock })
const authenticate = async (claims: object, extra: object = {}) =>
  await pool(extra).authenticate(await server.sign({ sub: 'build-7', aud: ourIssuer, ...claims }))

test('the longest subject that is taken can be locked, revoked and looked for', async () => {
  const { id, account } = await authenticate({ sub: 'x'.repeat(2048) })
  for (const target of [{ principal: id }, { account }]) {
    expect(lockRequest.safeParse({ target, reason: 'r' }).success).toBe(true)
    expect(revocationRequest.safeParse({ target, reason: 'r' }).success).toBe(true)
    expect(leaseFilter.safeParse(target).success).toBe(true)
  }
})

test('a longer one is refused', async () => {
  expect(await refusalText(() => authenticate({ sub: 'x'.repeat(2049) }))).toMatch(/sub is longer than 2048 characters/)
})

test.each(['account', 'instance'])('so is a longer %s, however it is made', async (what) => {
  const rules = { attributes: { repository }, [what]: ['repository'] }
  // Each slash is three characters in it.
  expect(await refusalText(() => authenticate({ repository: '/'.repeat(700) }, rules))).toMatch(
    new RegExp(`${what} is longer than 2048 characters`),
  )
  expect(await authenticate({ repository: '/'.repeat(600) }, rules)).toMatchObject({ id: 'ci:build-7' })
})
