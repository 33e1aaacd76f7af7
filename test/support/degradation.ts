// One stack for the table of what happens when a part is down (README, "How it fails"): two providers, two issuers of workloads, and
// what each row's test asks of the ledger, the audit and the provider.
import { expect } from '@jest/globals'
import type { Answer } from '../../scripts/demo/http-call.js'
import { type OidcIssuer, startOidcIssuer } from '../../scripts/servers/stand-ins/oidc-issuer.js'
import { type AuditLine, type Stack, startStack } from './stack.js'
import { ciClaims, stackPolicies } from './stack-settings.js'
import { startVaultForStack, type VaultInStack, vaultPolicy } from './vault-in-stack.js'
import { expectProblem, type LedgerView, lookIntoLedger, type OpenedTask, openTask, until } from './wire-checks.js'

/** A token at the Vault, its lease two minutes, longer than any test goes on; `short` ends by itself in 10 s. */
export const config = { action: 'config.read', resource: 'database:orders', ttl_seconds: 120 }
export const short = { ...config, ttl_seconds: 10 }
export const query = { ...config, action: 'database.query' }

export interface Degradation {
  readonly beside: VaultInStack
  /** A second issuer of workloads, with keys that serve eight seconds without it. */
  readonly second: OidcIssuer
  readonly stack: Stack
  readonly ledger: LedgerView
  readonly token: string
  readonly task: OpenedTask
  ask(asked: object): Promise<Answer>
  /** A subject token of the second issuer. */
  secondToken(): Promise<string>
  /** How often the Vault was asked to make something. */
  mints(): number
  /**
   * What the audit says of the lease: the broker's records, then the worker's, each oldest first. Which of the two was the first
   * to write is no one's order: a lease may have ended before it is written down who ended it.
   */
  recordsOf(lease: string): AuditLine[]
  /** Its events, in that order. */
  eventsOf(lease: string): string[]
  /** What the audit says of the request that was answered so. */
  recordsOfRequest(answer: Answer): AuditLine[]
  /** The lease that came of a refused request. */
  leaseOf(answer: Answer): string
  /** Gives it back, again while its end is not confirmed yet, as a client does; the answer that says more. */
  release(lease: string): Promise<Answer>
  /** Refused so, and nothing came of it: no lease, no record of one, no call to the provider. */
  expectNothing(asked: object, code: string): Promise<Answer>
  stop(): Promise<void>
}

export async function startDegradation(): Promise<Degradation> {
  const [beside, second] = [await startVaultForStack({ timeout: '3s' }), await startOidcIssuer()]
  const stack = await startStack({
    policies: `${stackPolicies}${vaultPolicy}
      @id("second-reads") permit (principal in Issuer::"second", action in Action::"read", resource is Database);`,
    settings(base) {
      const full = beside.withVault(base)
      const issuer = { type: 'oidc', issuer: second.issuer, algorithms: ['ES256'], max_stale: '8s' }
      // How often a test asks until something has changed is the machine's affair.
      const limits = { account: { requests_per_minute: 100_000 } }
      return { ...full, issuers: { ...full.issuers, second: issuer }, limits }
    },
  })
  const ledger = lookIntoLedger(stack)
  const token = await stack.ciToken()
  const task = await openTask(stack, token)
  const recordsOf = (lease: string) => {
    const records = stack.auditRecords().filter((record) => record.lease === lease)
    return records.sort((a, b) => a.chain.localeCompare(b.chain))
  }
  const recordsOfRequest = (answer: Answer) =>
    stack.auditRecords().filter((record) => record.request_id === answer.headers['x-request-id'])
  const ask = (asked: object) => stack.call('POST', `${task.path}/credentials`, { token, body: asked })
  const mints = () => beside.vault.calls.filter(({ path }) => path.startsWith('auth/token/create')).length
  return {
    beside,
    second,
    stack,
    ledger,
    token,
    task,
    ask,
    mints,
    recordsOf,
    recordsOfRequest,
    secondToken: () => second.sign({ ...ciClaims(stack.url), sub: 'agent' }),
    eventsOf: (lease) => recordsOf(lease).map(({ event }) => event),
    leaseOf: (answer) => String(recordsOfRequest(answer).find(({ lease }) => lease !== undefined)?.lease),
    release: (lease) =>
      until(
        () => stack.call('DELETE', `/v1/leases/${lease}`, { token }),
        ({ body }) => (body.receipt as { outcome?: string } | undefined)?.outcome !== 'pending',
        30,
      ),
    async expectNothing(asked, code) {
      const before = mints()
      const answer = await ask(asked)
      expectProblem(answer, { status: 503, code, retryAfter: true })
      expect(recordsOfRequest(answer).filter(({ lease }) => lease !== undefined)).toEqual([])
      expect(mints()).toBe(before)
      return answer
    },
    async stop() {
      ledger.close()
      await stack.stop()
      await second.stop()
      await beside.vault.stop()
    },
  }
}
