// A Vault's tokens against the ledger: what nobody knows of is ended there, and everybody else's stays.
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { endOrphans } from '../../../src/broker/orphans.js'
import type { Parts } from '../../../src/broker/parts.js'
import { createId } from '../../../src/core/ids.js'
import { leaseToIssue } from '../../contracts/provider-under-test.js'
import { secretRecipe, tokenRecipe } from '../../contracts/vault-under-test.js'
import { type Story, startStory } from '../../support/story.js'
import { startVaultBench, type VaultBench } from '../providers/vault-under-stand-in.js'

const standingToken = 'token-of-the-operator'
let story: Story
let bench: VaultBench
let parts: Parts
beforeAll(async () => {
  story = await startStory()
  bench = await startVaultBench({ mayListAccessors: true, standingToken })
  parts = { ...story.parts, providers: new Map([['vault', bench.provider]]) }
})
afterAll(async () => {
  await bench.stop()
  await story.close()
})
beforeEach(async () => {
  await story.at.raw.del(`${story.at.tag}turn:orphans:vault`)
})

const old = () => createId('lease', Date.now() - 60_000)
const reported = async (lease: string) => (await story.records('orphan.found')).filter((one) => one.lease === lease)
const issue = (id: string, recipe: typeof tokenRecipe | typeof secretRecipe) =>
  bench.provider.issue(leaseToIssue(120, { id }), recipe, async () => {})

async function accessorOfStranger(): Promise<string> {
  const response = await fetch(`${bench.standIn.address}/v1/auth/token/create/hallpass-lease`, {
    method: 'POST',
    headers: { 'x-vault-token': standingToken },
    body: JSON.stringify({
      policies: ['read-orders'],
      ttl: '120s',
      explicit_max_ttl: '120s',
      meta: { hallpass_lease: old(), hallpass_issuer: 'https://another.example', hallpass_provider: 'vault' },
    }),
  })
  const { auth } = (await response.json()) as { auth: { accessor: string } }
  return auth.accessor
}

test('a token with our mark that the ledger does not know is ended and reported; what is known, young or another’s stays', async () => {
  const lost = old()
  await issue(lost, tokenRecipe)
  const young = await issue(createId('lease', Date.now()), tokenRecipe)
  const { lease } = await story.bought()
  const known = await issue(lease.id, tokenRecipe)
  const stranger = await accessorOfStranger()
  expect(await endOrphans(parts)).toBe(1)
  expect(new Set(bench.standIn.alive().accessors)).toEqual(new Set([young.providerRef, known.providerRef, stranger]))
  expect(await reported(lost)).toMatchObject([
    { provider: 'vault', outcome: 'revoked', actor: 'sweeper', mark: { hallpass_lease: lost } },
  ])
  // Its turn comes once a minute.
  await issue(old(), tokenRecipe)
  expect(await endOrphans(parts)).toBe(0)
  await story.at.raw.del(`${story.at.tag}turn:orphans:vault`)
  expect(await endOrphans(parts)).toBe(1)
})

test('an ended lease whose token stands is ended again, and a secret goes with its token', async () => {
  const { lease, task } = await story.bought()
  await story.endTask(task)
  await story.finish(lease.id)
  await issue(lease.id, secretRecipe)
  // By then nobody can still be reading the secret with the token.
  bench.advance(20_000)
  expect(await endOrphans(parts)).toBe(1)
  expect(bench.standIn.alive().leases).toEqual([])
  expect(await reported(lease.id)).toMatchObject([{ outcome: 'revoked' }])
})
