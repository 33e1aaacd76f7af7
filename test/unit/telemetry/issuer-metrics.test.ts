import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import { countIssuerEvents, observeIssuers } from '../../../src/compose/issuer-metrics.js'
import { issuersConfig } from '../../../src/identity/issuer-config.js'
import { createIssuerPool } from '../../../src/identity/issuer-pool.js'
import { createIssuers } from '../../../src/identity/issuers.js'
import { createMetrics } from '../../../src/telemetry/metrics.js'
import { readTable } from '../docs/markdown.js'
import { createManualClock, ourIssuer, unsignedToken } from '../identity/identity-fixtures.js'

let server: OidcIssuer
const clock = createManualClock()
beforeEach(async () => {
  server = await startOidcIssuer({ clock })
})
afterEach(() => server.stop())

/** `fetchTimeoutMs`: only an issuer that hangs is to be late, not one whose host stands still for a moment. */
function start(fetchTimeoutMs = 30_000) {
  const metrics = createMetrics()
  const events = countIssuerEvents(metrics)
  const section = { ci: { type: 'oidc', issuer: server.issuer, leeway: '60s', require: { owner: '65' } } }
  const deps = { clock, ourIssuer, directory: '.', events, fetchTimeoutMs }
  const pool = createIssuerPool(createIssuers(issuersConfig.parse(section), deps), { ourIssuer, events })
  return {
    show: (token: string) => pool.authenticate(token).catch(() => null),
    /** What a scrape tells of issuers, a line each, sorted. */
    async scrape() {
      observeIssuers(metrics, pool.issuers, clock)
      const text = await metrics.registry.metrics()
      return text
        .split('\n')
        .filter((line) => line.startsWith('hallpass_issuer_'))
        .map((line) => line.replace(/^hallpass_issuer_/, ''))
        .sort()
    },
  }
}

const sign = (claims = {}, options = {}) => server.sign({ sub: 'x', aud: ourIssuer, owner: '65', ...claims }, options)
const now = () => clock.now() / 1000

describe('the metrics of an issuer', () => {
  test('count refusals by the check that refused, under a bounded set of labels', async () => {
    const { show, scrape } = start()
    const good = await sign()
    expect(await show(good)).toBeTruthy()
    const refused = [
      'no token',
      `${good.slice(0, -8)}AAAAAAAA`,
      await sign({ iss: ourIssuer }),
      await sign({ iss: 'https://evil.example' }),
      await sign({ iss: 'https://worse.example' }),
      await sign({ aud: 'x' }),
      await sign({ exp: now() - 99 }),
      await sign({ iat: now() + 99 }),
      await sign({ nbf: now() + 99 }),
      await sign({ cnf: {} }),
      await sign({ events: {} }),
      await sign({ owner: 65 }),
      await sign({ sub: '' }),
      await sign({}, { kid: 'new' }),
      await sign({}, { header: { typ: 'at+jwt' } }),
      unsignedToken({ iss: server.issuer, aud: ourIssuer, exp: now() + 9 }, { alg: 'HS256' }),
    ]
    for (const token of refused) expect(await show(token)).toBeNull()
    const lines = (await scrape()).filter((line) => line.startsWith('refusals_total'))
    const counted = (issuer: string, reasons: string[]) =>
      reasons.map((reason) => `refusals_total{issuer="${issuer}",reason="${reason}"} 1`)
    const ours = 'algorithm audience binding event expiry issued_at key not_before principal require signature type'
    expect(lines).toEqual(
      [
        ...counted('ci', ours.split(' ')),
        ...counted('none', ['form', 'own_token']),
        'refusals_total{issuer="none",reason="issuer"} 2',
      ].sort(),
    )
  })

  test('count a remembered token that has run out, and an outage that refuses nobody for good', async () => {
    const { show, scrape } = start()
    const token = await sign({ exp: now() + 10 })
    expect(await show(token)).toBeTruthy()
    clock.advance(120)
    expect(await show(token)).toBeNull()
    server.behave('down')
    clock.advance(3600)
    expect(await show(await sign())).toBeNull()
    expect(await scrape()).toEqual(
      expect.arrayContaining([
        'refusals_total{issuer="ci",reason="expiry"} 1',
        'refusals_total{issuer="ci",reason="unavailable"} 1',
        'fetches_total{issuer="ci",outcome="ok"} 2',
        'fetches_total{issuer="ci",outcome="unreachable"} 1',
      ]),
    )
  })

  test.each([
    ['hang', 'late'],
    ['garbage', 'bad_answer'],
    ['redirect', 'bad_answer'],
    ['error', 'bad_answer'],
    ['huge', 'bad_answer'],
    ['down', 'unreachable'],
  ] as const)('count a fetch from an issuer that does %s as %s', async (behaviour, outcome) => {
    const { show, scrape } = start(behaviour === 'hang' ? 300 : 30_000)
    server.behave(behaviour)
    await show(await sign())
    expect(await scrape()).toContain(`fetches_total{issuer="ci",outcome="${outcome}"} 1`)
  })

  test('tell the age of the keys, and nothing while they were never had', async () => {
    const { show, scrape } = start()
    expect(await scrape()).toEqual([])
    await show(await sign())
    clock.advance(90)
    expect(await scrape()).toContain('key_age_seconds{issuer="ci"} 90')
  })

  test('tell how far ahead verified tokens are, forget it in time, and believe no unverified one', async () => {
    const { show, scrape } = start()
    const skew = async () => (await scrape()).filter((line) => line.startsWith('skew') && line.includes('"tokens"'))
    const forged = await sign({ iat: now() + 50 })
    await show(`${forged.slice(0, -8)}AAAAAAAA`)
    expect(await skew()).toEqual([])
    await show(await sign({ iat: now() + 40 }))
    await show(await sign({ iat: now() - 500 }))
    expect(await skew()).toEqual(['skew_seconds{issuer="ci",by="tokens"} 40'])
    clock.advance(3601)
    await show(await sign({ iat: now() - 7 }))
    expect(await skew()).toEqual(['skew_seconds{issuer="ci",by="tokens"} -7'])
  })

  test('are in the documentation, with their labels', () => {
    expect(readFileSync('docs/identity.md', 'utf8')).toContain('hallpass_issuer_')
    const documented = readTable('docs/identity.md', ['metric', 'labels', 'what']).map(([name, labels]) => [
      name?.replaceAll('`', ''),
      labels?.replaceAll('`', ''),
    ])
    const metrics = createMetrics().registry.getMetricsAsArray() as unknown as { name: string; labelNames: string[] }[]
    const ours = metrics.filter(({ name }) => name.startsWith('hallpass_issuer_'))
    expect(documented.sort()).toEqual(ours.map(({ name, labelNames }) => [name, labelNames.join(', ')]).sort())
  })
})
