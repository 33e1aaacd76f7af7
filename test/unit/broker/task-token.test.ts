// The task token is read as strictly as a subject token: whatever differs from what we write is a 401, well signed or not.
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { createTaskToken, taskTokenType, verifyTaskToken } from '../../../src/broker/task-token.js'
import { createId } from '../../../src/core/ids.js'
import { openFileKeyset } from '../../../src/signing/file-keyset.js'
import { createMissingKeys } from '../../../src/signing/key-rotation.js'
import { aTask } from '../../support/ledger.js'
import { refusalOf } from '../../support/story.js'
import { createKeyGround, type KeyGround } from '../signing/key-ground.js'

const issuer = 'https://hallpass.acme.example'
let ground: KeyGround
let keyset: Awaited<ReturnType<typeof openFileKeyset>>
const start = Date.UTC(2026, 0, 1)

beforeAll(async () => {
  ground = await createKeyGround()
  await createMissingKeys(ground.directory, ground.clock)
  keyset = await openFileKeyset({ directory: ground.directory })
})
beforeEach(() => {
  ground.now.ms = start
})
afterAll(async () => {
  keyset?.close()
  await ground?.remove()
})

const parts = () => ({ keyset, issuer, clock: ground.clock })
const task = aTask()
const lastingAnHour = () => ({ ...task, expiresAt: ground.now.ms + 3_600_000 })
const seconds = () => Math.floor(start / 1000)
const claims = () => ({ iss: issuer, aud: `${issuer}/tasks`, sub: task.id, iat: seconds(), exp: seconds() + 7200 })
const encode = (part: object | string) =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')

test('names its task until an hour after the deadline, and is nothing afterwards', async () => {
  const token = await createTaskToken(parts(), lastingAnHour())
  expect(await verifyTaskToken(parts(), token)).toBe(task.id)
  ground.now.ms = start + 2 * 3_600_000 - 2000
  expect(await verifyTaskToken(parts(), token)).toBe(task.id)
  ground.now.ms = start + 2 * 3_600_000 + 1000
  expect((await refusalOf(verifyTaskToken(parts(), token))).code).toBe('invalid_token')
})

describe('refused', () => {
  type Sign = () => Promise<string> | string
  const signed = (changes: object, typ = taskTokenType, purpose: 'internal' | 'grants' | 'federation' = 'internal') => {
    return () => keyset.sign(purpose, typ, { ...claims(), ...changes })
  }
  const respelled = async (change: (parts: string[]) => string[]) => {
    return change((await createTaskToken(parts(), lastingAnHour())).split('.')).join('.')
  }
  const rows: [name: string, sign: Sign][] = [
    ['a minted token’s typ (RFC 8725 section 3.11)', signed({}, 'at+jwt')],
    ['typ in another spelling', signed({}, 'application/task+jwt')],
    ['typ in capitals', signed({}, 'TASK+JWT')],
    ['the key that signs what we mint', signed({}, taskTokenType, 'grants')],
    ['the key of our federation', signed({}, taskTokenType, 'federation')],
    ['another issuer', signed({ iss: `${issuer}/federation` })],
    ['another audience', signed({ aud: issuer })],
    ['a second audience beside ours', signed({ aud: [`${issuer}/tasks`, issuer] })],
    ['no audience', signed({ aud: undefined })],
    ['no end', signed({ exp: undefined })],
    ['no issue time', signed({ iat: undefined })],
    ['issued in the future', signed({ iat: seconds() + 60 })],
    ['not valid yet', signed({ nbf: seconds() + 60 })],
    ['no task', signed({ sub: undefined })],
    ['a lease for a task', signed({ sub: createId('lease', start) })],
    ['something for a task', signed({ sub: 'task_../x' })],
    ['alg none', () => `${encode({ alg: 'none', typ: taskTokenType })}.${encode(claims())}.`],
    [
      'HS256 with the public key as its secret',
      () => {
        const input = `${encode({ alg: 'HS256', typ: taskTokenType })}.${encode(claims())}`
        const key = JSON.stringify(keyset.publicKeys('internal')[0])
        return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
      },
    ],
    [
      'another task’s payload',
      () => respelled(([head = '', , end = '']) => [head, encode({ ...claims(), sub: aTask().id }), end]),
    ],
    ['a duplicate member', () => respelled(([head = '', , end = '']) => [head, encode('{"sub":"a","sub":"b"}'), end])],
    ['a padded signature', () => respelled(([head = '', body = '', end = '']) => [head, body, `${end}=`])],
    ['white space', () => respelled(([head = '', body = '', end = '']) => [` ${head}`, body, end])],
    ['17 KiB', () => respelled(([head = '', body = '', end = '']) => [head, body, end.padEnd(17_000, 'A')])],
  ]
  test.each(rows)('%s', async (_name, sign) => {
    expect((await refusalOf(verifyTaskToken(parts(), await sign()))).code).toBe('invalid_token')
  })
})
