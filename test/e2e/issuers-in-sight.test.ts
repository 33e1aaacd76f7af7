// Issuers as operators see them, on running programs: brokers that start while an issuer is down, its metrics, doctor, explain.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { call } from '../../scripts/demo/http-call.js'
import { type Program, spawnProgram, untilStarted } from '../../scripts/demo/program.js'
import { freePort } from '../../scripts/servers/free-port.js'
import { hallpassProgram, type Stack, startStack } from '../support/stack.js'

let stack: Stack
const urls: string[] = []
const others: Program[] = []

/** One more broker of the same deployment, on an address and an audit chain of its own. */
async function startBroker(instance: string): Promise<void> {
  const address = `127.0.0.1:${await freePort()}`
  const settings = JSON.parse(readFileSync(stack.configFile, 'utf8')) as { audit: object }
  const configFile = join(stack.directory, `${instance}.yaml`)
  writeFileSync(configFile, JSON.stringify({ ...settings, listen: address, audit: { ...settings.audit, instance } }))
  const program = spawnProgram('serve', { hallpass: hallpassProgram, configFile, env: { HALLPASS_LOG_LEVEL: 'info' } })
  others.push(program)
  await untilStarted(program)
  urls.push(`http://${address}`)
}

beforeAll(async () => {
  stack = await startStack()
  urls.push(stack.url)
  stack.ci.behave('down')
  await startBroker('second')
  await startBroker('third')
}, 120_000)
afterAll(async () => {
  for (const program of others) await program.kill('SIGKILL')
  await stack?.stop()
})

const openAt = async (url: string, token: string) =>
  call(url, 'POST', '/v1/tasks', { token, body: { purpose: 'a look' } })
const metricsOf = async (url: string) =>
  (await (await fetch(`${url}/metrics`)).text()).split('\n').filter((line) => line.startsWith('hallpass_issuer_'))

test('brokers that start while an issuer is down answer 503, and recover by themselves', async () => {
  const token = await stack.ciToken()
  for (const url of urls) {
    const answer = await openAt(url, token)
    expect(answer).toMatchObject({ status: 503, body: { code: 'issuer_unavailable' } })
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    expect(await metricsOf(url)).toEqual(
      expect.arrayContaining([
        'hallpass_issuer_refusals_total{issuer="ci",reason="unavailable"} 1',
        'hallpass_issuer_fetches_total{issuer="ci",outcome="unreachable"} 1',
      ]),
    )
  }
  // An issuer that is down keeps nobody of another one away.
  expect((await openAt(urls[1] ?? '', await stack.svid())).status).toBe(201)
  stack.ci.behave('well')
  for (const url of urls) {
    let answer = await openAt(url, token)
    for (let i = 0; answer.status === 503 && i < 60; i++) {
      await new Promise((resolve) => setTimeout(resolve, 500))
      answer = await openAt(url, token)
    }
    expect(answer.status).toBe(201)
    const lines = await metricsOf(url)
    expect(lines).toContain('hallpass_issuer_fetches_total{issuer="ci",outcome="ok"} 2')
    expect(lines.some((line) => /^hallpass_issuer_key_age_seconds\{issuer="ci"\} \d/.test(line))).toBe(true)
    expect(lines.some((line) => /^hallpass_issuer_skew_seconds\{issuer="ci",by="date"\}/.test(line))).toBe(true)
  }
})

test('a refused token is counted by the check that token explain names', async () => {
  const token = await stack.ciToken({ aud: 'https://elsewhere.example' })
  const answer = await openAt(stack.url, token)
  expect(answer.status).toBe(401)
  expect(await metricsOf(stack.url)).toContain('hallpass_issuer_refusals_total{issuer="ci",reason="audience"} 1')
  const file = join(stack.directory, 'token.jwt')
  writeFileSync(file, token)
  const ran = await stack.run('token', 'explain', file, '--output', 'json')
  const { checks } = JSON.parse(ran.stdout) as { checks: { check: string; result: string; detail: string }[] }
  expect(ran.code).toBe(3)
  expect(checks.filter(({ result }) => result === 'fail')).toEqual([
    expect.objectContaining({ check: 'audience', detail: (answer.body as { detail: string }).detail }),
  ])
  writeFileSync(file, await stack.ciToken())
  expect(await stack.run('token', 'explain', file, '--online')).toMatchObject({ code: 0, stderr: '' })
})

test('the doctor says what each issuer takes, and of one that is down what to do', async () => {
  stack.staff.behave('down')
  const ran = await stack.run('doctor', '--output', 'json')
  stack.staff.behave('well')
  const { findings } = JSON.parse(ran.stdout) as { findings: { part: string; problems: string[]; accepts?: object }[] }
  const of = (name: string) => findings.find(({ part }) => part === `issuer ${name}`)
  expect(of('ci')).toMatchObject({
    problems: [],
    accepts: { iss: stack.ci.issuer, audiences: [stack.url], algorithms: ['ES256'], account: ['repository_id'] },
  })
  expect(of('prod')).toMatchObject({ problems: [], accepts: { trustDomain: 'prod.acme.example' } })
  expect(of('staff')?.problems).toEqual([expect.stringMatching(/cannot be had: http.*; check its address/)])
  expect(ran.code).toBe(1)
})
