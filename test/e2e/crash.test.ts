// kill -9 of serve and worker at random moments under a stream of purchases: whatever was minted dies on time, the ledger knows
// all that lives, and the audit can account for every lease. HALLPASS_CRASH_SEED makes a run's choices again.
import { randomInt } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type CrashRun, runWithCrashes } from '../support/crash-run.js'
import { runHallpassOnHost } from '../support/run-hallpass.js'
import { type AuditLine, type Stack, startStack } from '../support/stack.js'
import { stackPolicies } from '../support/stack-settings.js'
import { startVaultForStack, type VaultInStack, vaultPolicy } from '../support/vault-in-stack.js'
import { introspect, type LedgerView, lookIntoLedger, pause, until } from '../support/wire-checks.js'

const seed = Number(process.env.HALLPASS_CRASH_SEED ?? randomInt(1_000_000))
let beside: VaultInStack
let stack: Stack
let ledger: LedgerView

beforeAll(async () => {
  beside = await startVaultForStack({ timeout: '1s' })
  const plenty = { account: { active_leases: 5000, open_tasks: 5000, requests_per_minute: 100_000 } }
  stack = await startStack({
    policies: stackPolicies + vaultPolicy,
    settings: (base) => ({ ...beside.withVault(base), limits: plenty }),
  })
  ledger = lookIntoLedger(stack)
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
  await beside?.vault.stop()
})

const deadlineOf = async (lease: string) => Number(await ledger.redis.hget(ledger.key(`l:${lease}`), 'expires'))

/**
 * Whether the ledger looks after what lives there. A token that was made when its mint had been given up is nobody's: it has read
 * nothing, nobody was answered it, and it ends by itself.
 */
async function isKnown(lease: string, accessor: string): Promise<boolean> {
  const state = String(await ledger.state(lease))
  if (state === 'void') return beside.vault.alive().leases.every((secret) => secret.accessor !== accessor)
  return /^(reserved|active|revoking|failed)$/.test(state)
}

/** Watches the far side while it goes on: what lives there is a live lease of the ledger's, and in its time. */
async function watch(isOver: () => boolean): Promise<string[]> {
  const wrong: string[] = []
  while (!isOver()) {
    for (const [accessor, lease] of await beside.leasesByAccessor()) {
      const late = Date.now() > (await deadlineOf(lease)) + 5000
      const known = await isKnown(lease, accessor)
      if (known && !late) continue
      // Read a moment apart: it may have ended in between.
      await pause(200)
      if (beside.vault.alive().accessors.includes(accessor)) wrong.push(`${lease} known ${known} late ${late}`)
    }
    await pause(250)
  }
  return wrong
}

test(`nothing outlives its deadline by 5 s, and nothing is forgotten (seed ${seed})`, async () => {
  // A Vault across a network: more of the kills come in the middle of a mint.
  beside.vault.delay('', 40)
  let over = false
  const watched = watch(() => over)
  const run = await runWithCrashes(stack, seed, { seconds: 20, callers: 5 })
  const lastDeadline = Math.max(...(await Promise.all((await ledger.due()).map(deadlineOf))), Date.now())
  await pause(lastDeadline + 5000 - Date.now())
  over = true
  expect(await watched).toEqual([])
  process.stdout.write(
    `${JSON.stringify({ seed, kills: run.kills, bought: run.bought.length, answers: [...run.answers] })}\n`,
  )

  expectHonestAnswers(run)
  expect(beside.vault.alive()).toEqual({ leases: [], accessors: [] })
  const caller = await stack.ciToken()
  for (const { lease, secret, credential } of run.bought) {
    if (credential.type !== 'jwt') continue
    expect({ lease, ...(await introspect(stack, caller, secret)) }).toEqual({ lease, active: false })
  }
  await expectLedgerAtRest()
  expectAccounted(run, stack.auditRecords(), new Set(await ledger.due()))
  const verified = await runHallpassOnHost(stack, 'audit', 'verify')
  expect(verified).toMatchObject({ code: 0, output: expect.stringMatching(/^intact/) })
}, 600_000)

/** Enough happened, and no caller was told anything but what section 4 has for such moments. */
function expectHonestAnswers({ bought, kills, answers }: CrashRun): void {
  expect(Math.min(kills.serve, kills.worker)).toBeGreaterThan(1)
  // Enough to have been killed in the middle of; how many more a run buys is the machine's affair.
  expect(bought.length).toBeGreaterThan(3)
  const allowed = /^(none|200|201|409 task_closed|502 provider_failed|503 \w+|404 not_found|403 denied)$/
  expect([...answers.keys()].filter((answer) => !allowed.test(answer))).toEqual([])
}

/**
 * Nothing is due but what no one can know yet: a secret whose read was cut off between Vault's answer and its note. Its lease
 * waits, as the receipt says, until even an unknown one must have ended.
 */
async function expectLedgerAtRest(): Promise<void> {
  const inDoubt = async () => {
    const left = await ledger.due()
    const fields = await Promise.all(left.map((lease) => ledger.redis.hgetall(ledger.key(`l:${lease}`))))
    return left.map((lease, i) => ({ lease, ...fields[i] }) as { lease: string; state?: string; rec?: string })
  }
  const left = await until(inDoubt, (all) => all.every(({ rec }) => rec?.includes('"database.query"')), 60)
  for (const one of left) expect(one).toMatchObject({ state: 'revoking', receipt: expect.stringContaining('pending') })
  await until(
    async () => await ledger.redis.zcard(ledger.key('due:tasks')),
    (count) => count === 0,
    60,
  )
  expect(await ledger.redis.zcard(ledger.key('owed'))).toBe(0)
}

/** Before the far side hears of a lease its record is on disk; and each that was reserved ended, or is looked after still. */
function expectAccounted(run: CrashRun, records: readonly AuditLine[], due: ReadonlySet<string>): void {
  const at = (event: string) =>
    new Map(
      records.filter((record) => record.event === event).map(({ lease, time }) => [String(lease), Date.parse(time)]),
    )
  const [reserved, issued, ended] = [at('lease.reserved'), at('lease.issued'), at('lease.ended')]
  for (const { lease } of run.bought)
    expect([lease, reserved.has(lease), issued.has(lease)]).toEqual([lease, true, true])
  for (const lease of reserved.keys()) expect([lease, ended.has(lease) || due.has(lease)]).toEqual([lease, true])
  const created = beside.vault.calls.filter(({ path }) => path.startsWith('auth/token/create/'))
  expect(created.length).toBeGreaterThan(2)
  for (const { body, at: calledAt } of created) {
    const lease = (body as { display_name: string }).display_name
    expect([lease, (reserved.get(lease) ?? Number.POSITIVE_INFINITY) <= calledAt]).toEqual([lease, true])
  }
  const openedTasks = new Set(records.filter(({ event }) => event === 'task.opened').map(({ task }) => task))
  for (const task of run.tasks) expect([task, openedTasks.has(task)]).toEqual([task, true])
}
