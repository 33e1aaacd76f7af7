// 401: callers whom no configured issuer vouches for. They learn why, nothing is asked of anybody for them, nothing is
// minted, and the audit counts them instead of recording each.
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Answer } from '../../scripts/demo/http-call.js'
import { startOidcIssuer } from '../../scripts/servers/stand-ins/oidc-issuer.js'
import { type Stack, startStack } from '../support/stack.js'
import { ciClaims } from '../support/stack-settings.js'
import {
  buy,
  expectProblem,
  type LedgerView,
  lookIntoLedger,
  type OpenedTask,
  openTask,
  report,
} from '../support/wire-checks.js'

let stack: Stack
let ledger: LedgerView
let token: string
let task: OpenedTask
let minted: string

beforeAll(async () => {
  stack = await startStack()
  ledger = lookIntoLedger(stack)
  token = await stack.ciToken()
  task = await openTask(stack, token)
  minted = (await buy(stack, token, task, report)).secret
})
afterAll(async () => {
  ledger?.close()
  await stack?.stop()
})

/** Refused with this explanation; no lease, no record of its own. */
async function expectUnknown(call: () => Promise<Answer>, says: RegExp): Promise<void> {
  const leases = await ledger.leaseIds()
  const answer = await call()
  expectProblem(answer, { status: 401, code: 'invalid_token', detail: says })
  expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
  expect(await ledger.leaseIds()).toEqual(leases)
  expect(stack.auditRecords().filter((record) => record.request_id === answer.headers['x-request-id'])).toEqual([])
}
const buyWith = (wrong: string) => () => stack.call('POST', `${task.path}/credentials`, { token: wrong, body: report })

const claims = () => ciClaims(stack.url)
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds
const encode = (part: object | string) =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')
const payload = () => ({ iss: stack.ci.issuer, exp: inSeconds(300), ...claims() })

describe('a token that is refused', () => {
  const otherContent = () => {
    const [head, , signature] = token.split('.')
    return `${head}.${encode({ ...payload(), repository_id: '1' })}.${signature}`
  }
  const withPublicKeyAsSecret = async () => {
    const { keys } = (await (await fetch(`${stack.ci.issuer}/jwks`)).json()) as { keys: object[] }
    const input = `${encode({ alg: 'HS256', typ: 'JWT', kid: 'es256-1' })}.${encode(payload())}`
    return `${input}.${createHmac('sha256', JSON.stringify(keys[0])).update(input).digest('base64url')}`
  }
  const tokens: [name: string, sign: () => Promise<string> | string, says: RegExp][] = [
    ['another audience', () => stack.ciToken({ aud: 'https://other.example' }), /audience|aud/],
    ['no audience', () => stack.ciToken({ aud: undefined }), /aud/],
    ['expired', () => stack.ciToken({ exp: inSeconds(-100) }), /expired/],
    ['not yet valid', () => stack.ciToken({ nbf: inSeconds(100) }), /not valid/],
    ['issued in the future', () => stack.ciToken({ iat: inSeconds(100) }), /future/],
    ['without an end', () => stack.ciToken({ exp: undefined }), /"exp"/],
    ['an issuer that calls itself us', () => stack.ciToken({ iss: stack.url }), /Hallpass itself/],
    [
      'an issuer that calls itself our federation',
      () => stack.ciToken({ iss: `${stack.url}/federation` }),
      /Hallpass itself/,
    ],
    ['what we minted ourselves', () => minted, /Hallpass itself/],
    ['a task token at a purchase', () => task.token, /Hallpass itself/],
    ['alg none, unsigned', () => `${encode({ alg: 'none', typ: 'JWT' })}.${encode(payload())}.`, /signature is empty/],
    [
      'alg none, with something for a signature',
      () => `${encode({ alg: 'none' })}.${encode(payload())}.${encode('x')}`,
      /"none"/,
    ],
    ['HS256 with the public key as its secret', withPublicKeyAsSecret, /HS256/],
    ['the signature of another content', otherContent, /does not verify/],
    ['bound to a key that is not shown', () => stack.ciToken({ cnf: { jkt: 'x' } }), /bound to a key/],
    ['a security event', () => stack.ciToken({ events: {} }), /events/],
    [
      'without the claim that its account is made of',
      () => stack.ciToken({ repository_id: undefined }),
      /repository_id/,
    ],
    ['of an operators’ audience', () => stack.operatorToken({ aud: stack.url }), /aud/],
    [
      'a SPIFFE ID of another trust domain',
      () => stack.ciToken({ iss: undefined, sub: 'spiffe://other.example/x' }),
      /no configured issuer/,
    ],
    ['too long', () => `${token}.${'x'.repeat(17_000)}`, /longer/],
    ['no JWT', () => 'x.y', /parts/],
  ]
  test.each(tokens)('%s', async (_name, sign, says) => {
    await expectUnknown(buyWith(await sign()), says)
  })

  test('of an unknown issuer, which is not asked for its keys', async () => {
    const stranger = await startOidcIssuer()
    try {
      await expectUnknown(buyWith(await stranger.sign(claims())), /no configured issuer/)
      expect(stranger.requests).toEqual([])
    } finally {
      await stranger.stop()
    }
  })
})

describe('no token', () => {
  const headers: [name: string, value: Record<string, string>][] = [
    ['no header', {}],
    ['Basic', { authorization: 'Basic eDp5' }],
    ['a bearer of nothing', { authorization: 'Bearer ' }],
    ['two in one header', { authorization: 'Bearer a, Bearer b' }],
  ]
  test.each(headers)('%s', async (_name, value) => {
    await expectUnknown(() => stack.call('POST', '/v1/tasks', { body: { purpose: 'x' }, headers: value }), /Bearer/)
  })

  const doors: [method: string, path: string][] = [
    ['GET', '/v1/tasks'],
    ['GET', `/v1/tasks/task_${'0'.repeat(26)}`],
    ['POST', `/v1/tasks/task_${'0'.repeat(26)}/complete`],
    ['GET', '/v1/leases'],
    ['DELETE', `/v1/leases/lease_${'0'.repeat(26)}`],
    ['POST', '/v1/revocations'],
    ['GET', `/v1/revocations/rev_${'0'.repeat(26)}`],
  ]
  test.each(doors)('%s %s', async (method, path) => {
    await expectUnknown(() => stack.call(method, path), /Bearer/)
  })
})

test('the audit counts them by reason, and holds nothing of their tokens', async () => {
  await stack.restart('serve')
  const counted = stack.auditRecords().filter(({ event }) => event === 'callers.refused')
  expect(counted.reduce((sum, { refused }) => sum + Number(refused), 0)).toBeGreaterThanOrEqual(30)
  // A few words of ours each, and no number that would make every second's refusals a reason of their own.
  const reasons = counted.flatMap((record) => Object.keys(record.reasons as object))
  expect(reasons).toContain('the token expired n seconds ago')
  expect(reasons.filter((reason) => /\d/.test(reason))).toEqual([])
  expect(JSON.stringify(counted)).not.toMatch(/eyJ|other\.example|1296269/)
})
