// The attack table over HTTP, against the program as built: 401 with a problem that says which check, nothing opened or
// minted, and no part of any token in an answer, the log or the audit.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { attacks, buildAttack } from '../support/attack-tokens.js'
import { type Stack, startStack } from '../support/stack.js'
import { ciClaims } from '../support/stack-settings.js'
import { expectProblem, type LedgerView, lookIntoLedger } from '../support/wire-checks.js'

let stack: Stack
let ledger: LedgerView
let opened: string[]
const presented: string[] = []
beforeAll(async () => {
  stack = await startStack({ env: { HALLPASS_LOG_LEVEL: 'debug' } })
  ledger = lookIntoLedger(stack)
  opened = await ledger.taskIds()
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
})

type Row = (typeof attacks)[number]

async function open(attack: Row) {
  const ground = { issuer: stack.ci, claims: ciClaims(stack.url), now: Math.floor(Date.now() / 1000) }
  const token = await buildAttack(attack, ground)
  presented.push(token)
  const key = { 'idempotency-key': `attack-${presented.length}` }
  // As bytes: what stands in a header is one character for each.
  return stack.call('POST', '/v1/tasks', { token, body: { purpose: 'x' }, headers: key })
}

const sendable = attacks.filter(({ http }) => http !== null)

describe('over HTTP', () => {
  test.each(sendable.filter(({ code }) => code === 'accepted'))('$name ($source) opens a task', async (attack) => {
    const answer = await open(attack)
    expect(answer).toMatchObject({ status: 201, body: { task: { principal: `ci:${ciClaims('').sub}` } } })
    opened = await ledger.taskIds()
  })

  test.each(sendable.filter(({ code }) => code !== 'accepted'))('$name ($source) is refused', async (attack) => {
    const { status = 401, detail = attack.detail } = attack.http ?? {}
    const answer = await open(attack)
    expect(answer.status).toBe(status)
    if (status === 401) {
      expectProblem(answer, { status, code: attack.code, detail: new RegExp(detail ?? '^never$') })
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
    }
    expect(await ledger.taskIds()).toEqual(opened)
  })

  test('nothing was minted, and no part of a token is in the log or the audit', async () => {
    expect(await ledger.leaseIds()).toEqual([])
    const serve = stack.programs.serve
    // What was counted is written when it ends.
    await stack.restart('serve')
    expect(serve?.output()).toContain('req_')
    const written = `${serve?.output()}${stack.programs.worker?.output()}${JSON.stringify(stack.auditRecords())}`
    expect(JSON.stringify(stack.auditRecords())).toContain('callers.refused')
    for (const part of presented.flatMap((token) => token.split('.')).filter(({ length }) => length > 24)) {
      expect(written.includes(part.slice(0, 24))).toBe(false)
    }
  })
})
