import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { audienceOf, type Environment, fetchBrokerMetadata, findSubjectTokenSource } from '../../../src/client/index.js'
import { startWireServer } from '../../support/wire-server.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hallpass-token-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function sourceFor(environment: Environment, audience = 'https://hallpass.test') {
  const kubernetesTokenFile = join(folder, 'projected')
  return findSubjectTokenSource({ environment, findAudience: async () => audience, kubernetesTokenFile })
}

describe('where the subject token comes from', () => {
  test('HALLPASS_TOKEN goes before everything else', async () => {
    const source = sourceFor({
      HALLPASS_TOKEN: ' a.b.c\n',
      HALLPASS_TOKEN_FILE: '/nowhere',
      HALLPASS_ID_TOKEN: 'd.e.f',
    })
    expect(await source.read()).toBe('a.b.c')
    expect(source.name).toBe('HALLPASS_TOKEN')
  })

  test('a token file is read anew for each call', async () => {
    const file = join(folder, 'token')
    writeFileSync(file, 'first\n')
    const source = sourceFor({ HALLPASS_TOKEN: '', HALLPASS_TOKEN_FILE: file })
    expect(await source.read()).toBe('first')
    writeFileSync(file, 'second\n')
    expect(await source.read()).toBe('second')
  })

  test("GitLab's HALLPASS_ID_TOKEN, then the token that Kubernetes projects", async () => {
    writeFileSync(join(folder, 'projected'), 'from.the.pod')
    expect(await sourceFor({ HALLPASS_ID_TOKEN: 'from.the.job' }).read()).toBe('from.the.job')
    expect(await sourceFor({}).read()).toBe('from.the.pod')
  })

  test('without any, it says what it looked for', async () => {
    await expect(sourceFor({}).read()).rejects.toMatchObject({
      code: 'no_subject_token',
      detail: expect.stringMatching(
        /HALLPASS_TOKEN, HALLPASS_TOKEN_FILE, hallpass login, GitHub Actions .*GitLab.*Kubernetes/,
      ),
    })
    await expect(sourceFor({ GITHUB_ACTIONS: 'true' }).read()).rejects.toMatchObject({
      detail: expect.stringContaining('id-token: write'),
    })
  })

  test.each([
    ['empty', '\n'],
    ['a header of its own', 'a.b.c\r\nx-evil: 1'],
    ['more than 16 KiB', 'x'.repeat(16 * 1024 + 1)],
  ])('a token that is %s is refused here and not sent', async (_, token) => {
    await expect(sourceFor({ HALLPASS_TOKEN: token }).read()).rejects.toMatchObject({ code: 'no_subject_token' })
  })

  test('a file that is not there is said, with its path', async () => {
    const reading = sourceFor({ HALLPASS_TOKEN_FILE: join(folder, 'gone') }).read()
    await expect(reading).rejects.toMatchObject({ code: 'no_subject_token', detail: expect.stringContaining('gone') })
  })
})

describe('GitHub Actions', () => {
  let server: Server
  let seen: { url: string | undefined; authorization: string | undefined }[]
  let status = 200
  beforeEach(async () => {
    seen = []
    status = 200
    server = createServer((request, response) => {
      seen.push({ url: request.url, authorization: request.headers.authorization })
      response.writeHead(status).end(JSON.stringify({ count: 1, value: 'from.the.runner' }))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  afterEach(() => void server.close())

  const environment = () => ({
    ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token?api-version=2`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'runner-bearer',
  })

  test("is asked for a token for the broker's own audience", async () => {
    expect(await sourceFor(environment()).read()).toBe('from.the.runner')
    expect(seen).toEqual([
      { url: '/token?api-version=2&audience=https%3A%2F%2Fhallpass.test', authorization: 'Bearer runner-bearer' },
    ])
  })

  test.each(['sts.amazonaws.com', 'api://AzureADTokenExchange', '//iam.googleapis.com/projects/1', 'sigstore'])(
    'is not asked for a token that %s would take',
    async (audience) => {
      await expect(sourceFor(environment(), audience).read()).rejects.toMatchObject({ code: 'invalid_answer' })
      expect(seen).toEqual([])
    },
  )

  test('its refusal is no token', async () => {
    status = 403
    await expect(sourceFor(environment()).read()).rejects.toMatchObject({ code: 'no_subject_token' })
  })

  test('the broker says which audience is its own: its issuer where it takes that, else its first', async () => {
    const wire = await startWireServer()
    try {
      expect(audienceOf(await fetchBrokerMetadata({ url: wire.url }))).toBe('https://hallpass.test')
    } finally {
      await wire.close()
    }
    expect(audienceOf({ issuer: 'https://a', audiences: ['b', 'c'] })).toBe('b')
    expect(audienceOf({ issuer: 'https://a', audiences: [] })).toBe('https://a')
  })
})
