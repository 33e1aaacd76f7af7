// A stack whose Redis can lose its memory: a server of its own behind a relay, a Vault beside it, and what the tests ask again
// and again.
import { expect } from '@jest/globals'
import { Redis } from 'ioredis'
import { type OwnRedis, startOwnRedis } from './redis.js'
import { type Stack, startStack } from './stack.js'
import { stackPolicies } from './stack-settings.js'
import { type SwitchableRedis, startSwitchableRedis } from './switchable-redis.js'
import { startVaultForStack, type VaultInStack, vaultPolicy } from './vault-in-stack.js'
import { buy, introspect, type OpenedTask, openTask, report } from './wire-checks.js'

export const query = { action: 'database.query', resource: 'database:orders', ttl_seconds: 300 }
export const rolledBack = { status: 503, code: 'rolled_back', retryAfter: true }

const policies = `${stackPolicies}
@id("on-call-locks")
permit (principal in Group::"on-call", action in [Action::"operate.lock", Action::"operate.unlock"], resource);
`

export interface Forgetful {
  readonly stack: Stack
  readonly beside: VaultInStack
  readonly redis: OwnRedis
  readonly relay: SwitchableRedis
  /** Past the relay. */
  readonly raw: Redis
  /** A fresh task of a CI job; call it in beforeEach. */
  begin(): Promise<void>
  readonly token: string
  readonly task: OpenedTask
  ask(asked?: object): ReturnType<Stack['call']>
  /** Buys one credential of the jwt provider and one of Vault; answers the former. */
  buyBoth(): Promise<{ lease: string; secret: string }>
  problems(): Promise<Record<string, string>>
  events(event: string): ReturnType<Stack['auditRecords']>
  /** Both credentials that the ledger lost are its again, and end as if nothing had happened. */
  expectRestored(bought: { lease: string; secret: string }): Promise<void>
  /** The first credential after a rollback: until then only 503 is answered, and the lost lease is there by then. */
  firstAfter(lost: string, at?: Redis): Promise<void>
  stop(): Promise<void>
}

export const portOf = (url: string) => Number(new URL(url).port)

export async function startForgetful(): Promise<Forgetful> {
  const beside = await startVaultForStack()
  const redis = await startOwnRedis()
  const relay = await startSwitchableRedis(portOf(redis.url))
  const stack = await startStack({
    programs: [],
    policies: policies + vaultPolicy,
    settings: (base) => ({ ...beside.withVault(base), redis: { ...base.redis, url: relay.url } }),
  })
  const raw = new Redis(redis.url)
  raw.on('error', () => undefined)
  await stack.start('serve')
  await stack.start('worker')
  let token = ''
  let task: OpenedTask = { id: '', token: '', path: '' }
  const ask = (asked: object = report) => stack.call('POST', `${task.path}/credentials`, { token, body: asked })
  const problems = async () => (await stack.call('GET', '/readyz')).body.problems as Record<string, string>
  return {
    stack,
    beside,
    redis,
    relay,
    raw,
    async begin() {
      await stack.untilReady(30)
      token = await stack.ciToken()
      task = await openTask(stack, token)
    },
    get token() {
      return token
    },
    get task() {
      return task
    },
    ask,
    async buyBoth() {
      const bought = await buy(stack, token, task, report)
      const { status, body } = await ask(query)
      expect([status, body.code]).toEqual([201, undefined])
      return bought
    },
    problems,
    events: (event) => stack.auditRecords().filter((record) => record.event === event),
    async expectRestored(bought) {
      const lease = await stack.call('GET', `/v1/leases/${bought.lease}`, { token })
      expect(lease).toMatchObject({ status: 200, body: { state: 'active' } })
      expect(await introspect(stack, token, bought.secret)).toMatchObject({ active: true })
      expect(beside.vault.alive().accessors.length).toBe(1)
      const completed = await stack.call('POST', `${task.path}/complete?wait_seconds=20`, { token, body: {} })
      const outcomes = (completed.body.receipts as { outcome: string }[]).map(({ outcome }) => outcome)
      expect(outcomes.length).toBeGreaterThanOrEqual(2)
      expect(new Set(outcomes)).toEqual(new Set(['confirmed']))
      expect(await introspect(stack, token, bought.secret)).toMatchObject({ active: false })
      expect(beside.vault.alive().accessors).toEqual([])
    },
    async firstAfter(lost, at = raw) {
      for (let i = 0; i < 200; i++) {
        const answer = await ask()
        if (answer.status === 201) {
          expect(await at.exists(`{${stack.redis.prefix}}:l:${lost}`)).toBe(1)
          return
        }
        expect([answer.status, answer.body.code]).toEqual([
          503,
          expect.stringMatching(/rolled_back|ledger_unavailable|no_worker/),
        ])
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      throw new Error(`nothing is issued: ${JSON.stringify(await problems())}`)
    },
    async stop() {
      raw.disconnect()
      await stack.stop()
      await relay.close()
      await redis.stop()
      await beside.vault.stop()
    },
  }
}
