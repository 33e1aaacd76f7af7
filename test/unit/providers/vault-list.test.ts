import { afterEach, describe, expect, test } from '@jest/globals'
import { systemClock } from '../../../src/core/clock.js'
import type { Provider } from '../../../src/providers/provider.js'
import { createVaultProvider } from '../../../src/providers/vault.js'
import { leaseToIssue, listedFor } from '../../contracts/provider-under-test.js'
import { deployment, kvRecipe, secretRecipe, tokenRecipe, vaultSection } from '../../contracts/vault-under-test.js'
import { startVaultBench, type VaultBench } from './vault-under-stand-in.js'

let bench: VaultBench
const others: Provider[] = []
afterEach(async () => {
  for (const one of others.splice(0)) await one.close()
  await bench.stop()
})

const standingToken = 'token-of-the-operator'
const start = (mayListAccessors: boolean) => startVaultBench({ mayListAccessors, standingToken })
const lookups = () => bench.standIn.calls.filter(({ path }) => path === 'auth/token/lookup-accessor').length
const lists = () => bench.standIn.calls.filter(({ path }) => path === 'auth/token/accessors').length

async function all(provider = bench.provider): Promise<string[]> {
  const found: string[] = []
  for await (const { mark } of provider.list?.() ?? []) found.push(String(mark.hallpass_lease))
  return found.sort()
}

async function issue(provider = bench.provider, recipe: typeof secretRecipe | typeof tokenRecipe = tokenRecipe) {
  const lease = leaseToIssue(120)
  await provider.issue(lease, recipe, async () => {})
  return lease
}

/** As somebody who may make tokens at this Vault does it, with whatever metadata. */
async function makeToken(meta: Record<string, string>): Promise<void> {
  const response = await fetch(`${bench.standIn.address}/v1/auth/token/create/hallpass-lease`, {
    method: 'POST',
    headers: { 'x-vault-token': standingToken },
    body: JSON.stringify({ policies: ['read-orders'], ttl: '120s', explicit_max_ttl: '120s', meta }),
  })
  if (!response.ok) throw new Error(`no token: ${response.status}`)
}

/** Another provider at the same Vault. */
function beside(name: string, issuer: string, section = {}): Provider {
  const config = vaultSection(bench.standIn.address, { auth: { method: 'token', token_file: '/etc/hostname' }, ...section })
  const signFederationToken = async () => ''
  const made = createVaultProvider(name, config, { clock: systemClock, issuer, signFederationToken })
  others.push(made)
  return made
}
