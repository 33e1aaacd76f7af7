// An operator takes a provider out of the configuration while credentials of it live: they are nobody's fault and still ours.
import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Stack, startStack } from '../support/stack.js'
import { type StackSettings, stackPolicies } from '../support/stack-settings.js'
import { startVaultForStack, type VaultInStack, vaultPolicy } from '../support/vault-in-stack.js'
import { buy, type LedgerView, lookIntoLedger, openTask, report, until } from '../support/wire-checks.js'

let beside: VaultInStack
let stack: Stack
let ledger: LedgerView
beforeAll(async () => {
  beside = await startVaultForStack()
  stack = await startStack({ policies: stackPolicies + vaultPolicy, settings: (base) => beside.withVault(base) })
  ledger = lookIntoLedger(stack)
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
  await beside?.vault.stop()
})

const config = { action: 'config.read', resource: 'database:orders', ttl_seconds: 600 }

async function restartWith(text: string): Promise<void> {
  writeFileSync(stack.configFile, text)
  await Promise.all([stack.restart('serve'), stack.restart('worker')])
  await stack.untilReady()
}

test('its leases are listed, counted, and failed where they cannot be ended; the provider back, they end', async () => {
  const token = await stack.ciToken()
  const operator = await stack.operatorToken()
  const task = await openTask(stack, token)
  const { lease } = await buy(stack, token, task, config)
  await buy(stack, token, task, report)
  const whole = readFileSync(stack.configFile, 'utf8')
  const settings = JSON.parse(whole) as StackSettings
  const grants = Object.entries(settings.grants).filter(([, grant]) => grant.provider !== 'vault')
  const { vault: _vault, ...providers } = settings.providers
  await restartWith(JSON.stringify({ ...settings, providers, grants: Object.fromEntries(grants) }))

  const list = await stack.call('GET', '/v1/leases?provider=vault', { token: operator })
  expect(list.body.leases).toMatchObject([{ id: lease, provider: 'vault' }])
  const dry = { target: { provider: 'vault' }, reason: 'r', dry_run: true }
  expect((await stack.call('POST', '/v1/revocations', { token: operator, body: dry })).body).toMatchObject({
    matched: 1,
  })

  const completed = await stack.call('POST', `${task.path}/complete?wait_seconds=30`, { token, body: {} })
  const receipts = completed.body.receipts as { lease_id: string; outcome: string; evidence: string }[]
  expect(receipts.find(({ lease_id }) => lease_id === lease)).toMatchObject({ outcome: 'failed', evidence: 'none' })
  expect(receipts.filter(({ outcome }) => outcome === 'confirmed')).toHaveLength(1)
  expect([...(await beside.leasesByAccessor()).values()]).toEqual([lease])
  await until(
    () => stack.call('GET', '/metrics'),
    ({ text }) => text.includes('hallpass_leases{provider="vault",state="failed"} 1'),
    60,
  )

  await restartWith(whole)
  const order = { target: { provider: 'vault' }, reason: 'it is back' }
  expect((await stack.call('POST', '/v1/revocations', { token: operator, body: order })).status).toBe(202)
  await until(
    () => ledger.state(lease),
    (state) => state === 'revoked',
    60,
  )
  expect(beside.vault.alive().accessors).toEqual([])
}, 180_000)
