import { describe, expect, test } from '@jest/globals'
import { taskTokenFor, withoutIdentity } from '../../../src/cli/env.js'
import { credentialVariables } from '../../../src/cli/exec-environment.js'
import { answerWith, credentials } from '../../support/answers.js'

const held = (credential: Parameters<typeof answerWith>[0], name: string | null = null, more = {}) => ({
  name,
  answer: answerWith(credential, more),
})

describe('the variables of a command', () => {
  test("AWS's four names", () => {
    expect(credentialVariables([held(credentials.aws)], [])).toEqual({
      AWS_ACCESS_KEY_ID: 'ASIAEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'wJalr/secret',
      AWS_SESSION_TOKEN: 'FwoG//token',
      AWS_REGION: 'eu-west-1',
    })
  })

  test("Vault's token and address", () => {
    expect(credentialVariables([held(credentials.vaultToken)], [])).toEqual({
      VAULT_TOKEN: 'hvs.minted',
      VAULT_ADDR: 'https://vault.test:8200',
    })
  })

  test("a secret's fields by resource type and field, with its name in front where it has one", () => {
    expect(credentialVariables([held(credentials.secret)], [])).toEqual({
      DATABASE_USERNAME: 'v-reader',
      DATABASE_PASSWORD: "it's $(id)",
    })
    expect(Object.keys(credentialVariables([held(credentials.secret, 'orders')], []))).toEqual([
      'ORDERS_DATABASE_USERNAME',
      'ORDERS_DATABASE_PASSWORD',
    ])
  })

  test('fields that are no texts are given as JSON, absent ones not at all', () => {
    const secret = { ...credentials.secret, data: { 'max-rows': 5, tags: ['a'], none: null } }
    expect(credentialVariables([held(secret)], [])).toEqual({ DATABASE_MAX_ROWS: '5', DATABASE_TAGS: '["a"]' })
  })

  test('a token', () => {
    expect(credentialVariables([held(credentials.jwt), held(credentials.jwt, 'deploy')], [])).toEqual({
      HALLPASS_CREDENTIAL: 'minted.jwt.token',
      DEPLOY_HALLPASS_CREDENTIAL: 'minted.jwt.token',
    })
  })

  test("the grant's mapping instead, filled from the credential", () => {
    const env = { PGUSER: '${credential.username}', PGHOST: 'db.test', URL: 'pg://${credential.username}@db' }
    expect(credentialVariables([held(credentials.secret, null, { env })], [])).toEqual({
      PGUSER: 'v-reader',
      PGHOST: 'db.test',
      URL: 'pg://v-reader@db',
    })
  })

  test('a value that looks like a placeholder is not filled again', () => {
    const secret = { ...credentials.secret, data: { username: '${credential.password}', password: 's3cret' } }
    const env = { PGUSER: '${credential.username}' }
    expect(credentialVariables([held(secret, null, { env })], [])).toEqual({ PGUSER: '${credential.password}' })
  })

  test('--env adds a field of the first or of a named credential', () => {
    const both = [held(credentials.jwt), held(credentials.secret, 'db')]
    const explicit = [
      { variable: 'TOKEN', credential: null, field: 'token' },
      { variable: 'PGPASSWORD', credential: 'db', field: 'password' },
    ]
    expect(credentialVariables(both, explicit)).toMatchObject({ TOKEN: 'minted.jwt.token', PGPASSWORD: "it's $(id)" })
  })

  test.each([
    ['two tokens without names', [held(credentials.jwt), held(credentials.jwt)], [], 'HALLPASS_CREDENTIAL'],
    ['two AWS sessions', [held(credentials.aws), held(credentials.aws, 'b')], [], 'AWS_ACCESS_KEY_ID'],
    [
      "--env and the grant's mapping",
      [held(credentials.secret, null, { env: { PGUSER: '${credential.username}' } })],
      [{ variable: 'PGUSER', credential: null, field: 'password' }],
      'PGUSER',
    ],
    ['two fields of one secret', [held({ ...credentials.secret, data: { 'a-b': 'x', a_b: 'y' } })], [], 'DATABASE_A_B'],
    [
      'a field that is not there',
      [held(credentials.jwt)],
      [{ variable: 'X', credential: null, field: 'pw' }],
      'no field pw',
    ],
    [
      'a mapping to a field that is not there',
      [held(credentials.jwt, null, { env: { X: '${credential.pw}' } })],
      [],
      'no field pw',
    ],
    [
      'a placeholder that nothing fills',
      [held(credentials.jwt, null, { env: { X: '${resource.host}' } })],
      [],
      'resource.host',
    ],
    ['a NUL byte', [held({ ...credentials.secret, data: { password: 'a\0b' } })], [], 'NUL'],
  ])('%s: stopped, and the message says what and no value', (_, credentialsHeld, explicit, says) => {
    const run = () => credentialVariables(credentialsHeld, explicit)
    expect(run).toThrow(says)
    expect(run).not.toThrow(/minted|s3cret|wJalr|it's/)
  })
})

describe('the environment around', () => {
  test('what proves who we are is taken out, the rest stays', () => {
    const environment = {
      PATH: '/bin',
      HALLPASS_URL: 'https://broker.test',
      HALLPASS_TOKEN: 'a',
      HALLPASS_TOKEN_FILE: 'b',
      HALLPASS_ID_TOKEN: 'c',
      ACTIONS_ID_TOKEN_REQUEST_URL: 'd',
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'e',
    }
    expect(withoutIdentity(environment)).toEqual({ PATH: '/bin', HALLPASS_URL: 'https://broker.test' })
  })

  test('a task token is only used for the task that it is of', () => {
    const environment = { HALLPASS_TASK: 'task_a', HALLPASS_TASK_TOKEN: 'of.a' }
    expect(taskTokenFor('task_a', environment)).toBe('of.a')
    expect(taskTokenFor('task_b', environment)).toBeUndefined()
    expect(taskTokenFor('task_b', { HALLPASS_TASK_TOKEN: 'of.b' })).toBe('of.b')
  })
})
