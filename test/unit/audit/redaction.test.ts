import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { candidatesOf, redact, redactPatterns, redactTokens, unpatternedSecrets } from '../../../src/audit/redaction.js'
import { millisecondsOf, quickestOf } from '../../support/wall-time.js'

const alphanumeric = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
const of = (letters: string, min: number, max = min) =>
  fc.array(fc.constantFrom(...letters), { minLength: min, maxLength: max }).map((list) => list.join(''))
const mixed = (length: number) => of(`${alphanumeric}+/`, length - 3).map((text) => `aZ7${text}`)

const kinds: Record<string, fc.Arbitrary<string>> = {
  jwt: fc
    .tuple(of(alphanumeric, 20, 80), of(alphanumeric, 20, 80), of(`${alphanumeric}_-`, 43))
    .map(([a, b, c]) => `eyJ${a}.eyJ${b}.${c}`),
  vault_token: fc.tuple(fc.constantFrom('hvs.', 'hvb.', 's.'), of(alphanumeric, 24, 90)).map((parts) => parts.join('')),
  github_token: fc
    .tuple(fc.constantFrom('ghp_', 'ghs_', 'gho_', 'github_pat_'), of(alphanumeric, 36))
    .map((parts) => parts.join('')),
  aws_access_key: fc
    .tuple(fc.constantFrom('AKIA', 'ASIA'), of('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16))
    .map((parts) => parts.join('')),
  aws_secret_key: mixed(40),
  aws_session_token: of(`${alphanumeric}+/`, 100, 400).map((text) => `IQoJ${text}`),
  pem: of(`${alphanumeric}+/\n`, 64, 300).map(
    (text) => `-----BEGIN PRIVATE KEY-----\n${text}\n-----END PRIVATE KEY-----`,
  ),
}
const around = fc.constantFrom('', ' ', 'got ', '"', "'", '(', 'x: ', '\n', ', ', '; ', '<')

describe('what looks like a secret leaves', () => {
  test.each(Object.entries(kinds))('%s, wherever it stands', (_kind, secrets) => {
    fc.assert(
      fc.property(
        around,
        secrets,
        fc.constantFrom('', ' ', '"', ', ok', '\n', ')', '; done'),
        (before, secret, after) => {
          const clean = redact(`${before}${secret}${after}`)
          expect(clean).toContain('[redacted:')
          // Nothing of its second half either.
          expect(clean).not.toContain(secret.slice(secret.length / 2))
        },
      ),
    )
  })

  test.each([
    ['Authorization: Bearer abcdefgh12345', 'abcdefgh12345'],
    ['curl -H "authorization: Basic dXNlcjpwYXNz" x', 'dXNlcjpwYXNz'],
    ['psql postgres://app:hunter2@db.internal/orders', 'hunter2'],
    ['https://oauth2:tok%2Fen@git.acme.example/x.git', 'tok%2Fen'],
    ['git clone https://abcdefghij0123456789@github.com/acme/web', 'abcdefghij0123456789'],
    ['DB_PASSWORD=hunter2 ./run', 'hunter2'],
    ['{"client_secret": "s3cr3t value"}', 's3cr3t value'],
    ['{"body":"{\\"password\\":\\"hunter2, too\\"}"}', 'hunter2'],
    ['{"a":"{\\"b\\":\\"{\\\\\\"api_key\\\\\\" : \\\\\\"hunter2\\\\\\"}\\"}"}', 'hunter2'],
    ["api-key: 'abc'", 'abc'],
    ['mysql --password hunter2 -h db', 'hunter2'],
    ['vault login -token-file x; token => abc123', 'abc123'],
    ['PGPASSWORD = "two words"', 'two words'],
    ['-----BEGIN RSA PRIVATE KEY-----\nMIIE cut off', 'MIIE'],
  ])('%s', (text, secret) => {
    expect(redact(text)).not.toContain(secret)
    expect(redact(text)).toContain('[redacted:')
  })

  test.each([
    ['ran 12 tests, 3 failed'],
    ['commit 9fceb02d0ae598e95dc970b74767f19372d61af8 pushed to fix/flaky-test'],
    ['sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'],
    ['GET https://api.acme.example:8443/v1/reports?from=2031-01-01 200'],
    ['lease_01hzy3v5q8k2m4n6p8r0s2t4v6 of task_01hzy3v5q8k2m4n6p8r0s2t4v6'],
    ['mail to olga@acme.example'],
  ])('stays: %s', (text) => expect(redact(text)).toBe(text))

  test('a session token and a secret key that have the beginning of a JWT in them leave whole', () => {
    const tail = 'q3XYxSws5XaNLNBgQZon/d8uhEQY90OruMg6wNuONx9/cHJbXrK8YHTziF3A2frS6z'
    for (const head of ['IQoJd3Ll57ydY6RrMJZx9D6COl5XC2wbH1m80', 'IQoJ'])
      expect(redact(`got ${head}eyJ${tail} ok`)).toBe('got [redacted:aws_session_token] ok')
    const secretKey = `aZ7+eyJ${tail.slice(0, 33)}`
    expect(secretKey).toHaveLength(40)
    expect(redact(secretKey)).not.toContain(secretKey.slice(-8))
  })

  test.each([
    ['password=>*', 'password=>[redacted:value]'],
    ['https://abcdefghij0123456789@x', 'https://[redacted:userinfo]@x'],
    ['https://eyJaaaaaaaaaa@x', 'https://[redacted:jwt]@x'],
  ])('what stands for a secret is none: %s', (text, clean) => {
    expect(redactPatterns(text)).toBe(clean)
    expect(redactPatterns(clean)).toBe(clean)
  })

  test('doing it again changes nothing', () => {
    const texts = fc.array(
      fc.oneof(around, ...Object.values(kinds), fc.constantFrom('password=', 'token: ', 'Bearer ', 'x'), fc.string()),
      { maxLength: 8 },
    )
    fc.assert(
      fc.property(texts, (parts) => {
        const once = redactPatterns(parts.join(''))
        expect(redactPatterns(once)).toBe(once)
      }),
    )
  })

  test('takes time in proportion to the text', async () => {
    for (const piece of [
      'password',
      '-a',
      'token"  ',
      's.aaaa',
      '://',
      '-----BEGIN A',
      'aA1',
      'Bearer ',
      'eyJ........',
    ]) {
      const text = piece.repeat(64_000 / piece.length)
      const once = () => millisecondsOf(async () => redact(text))
      expect(await quickestOf(once, 3000, 3)).toBeLessThan(3000)
    }
  })
})

test('of what people write for people only tokens leave, not words about them', () => {
  const token = `ghp_${'a1B2'.repeat(9)}`
  expect(redactTokens(`token: expired, ${token} was leaked`)).toBe('token: expired, [redacted:github_token] was leaked')
  expect(redactTokens('access key AKIAIOSFODNN7EXAMPLE, password rotated')).toContain('AKIAIOSFODNN7EXAMPLE')
})

describe('values that were issued', () => {
  const secret = fc
    .string({ minLength: 8, maxLength: 60, unit: fc.constantFrom(...`${alphanumeric}-_.+/=`) })
    .filter((text) => /[A-Za-z0-9]$/.test(text))

  test('are among the candidates, however the text around them delimits', () => {
    fc.assert(
      fc.property(
        secret,
        fc.constantFrom(
          [' ', ' '],
          ['"', '"'],
          ["'", "',"],
          ['(', ')'],
          ['\n', '\n'],
          ['', '.'],
          ['`', '`'],
          ['<', '>'],
        ),
        (value, [open = '', close = '']) => {
          const text = `said ${open}${value}${close} and went on`
          const found = [...candidatesOf(text)].filter((one) => one === value)
          expect(found).toEqual([value])
          expect(redact(text, found)).not.toContain(value)
        },
      ),
    )
  })

  test.each([
    ['user:Ab-1234567 logged in', 'Ab-1234567'],
    ['x=Ab-1234567&y=1', 'Ab-1234567'],
    ['q=Ab%2F1234567', 'Ab/1234567'],
    ['(Ab-1234567),', 'Ab-1234567'],
    ['Ab-1234567.', 'Ab-1234567'],
  ])('%s', (text, value) => {
    expect(candidatesOf(text).has(value)).toBe(true)
    expect(redact(text, [value])).toMatch(/\[redacted:issued\]/)
  })

  test('of a credential: its secrets that no pattern would find', () => {
    expect(
      unpatternedSecrets({
        type: 'vault_secret',
        data: { username: 'v-app-readonly-x', password: 'A1a-bcdefgh', ttl: 3 },
        expires_at: '2031-01-01T00:00:00Z',
      }),
    ).toEqual(['A1a-bcdefgh'])
    expect(
      unpatternedSecrets({
        type: 'jwt',
        token: `eyJ${'a'.repeat(30)}.eyJ${'b'.repeat(30)}.${'c'.repeat(43)}`,
        token_type: 'Bearer',
      }),
    ).toEqual([])
  })
})

describe('what an issued value may be', () => {
  test('is 8 to 4,096 characters long, as it stands and without the marks that end a sentence', () => {
    expect([...candidatesOf('1234567')]).toEqual([])
    expect([...candidatesOf('12345678')]).toEqual(['12345678'])
    expect(candidatesOf('a'.repeat(4096)).size).toBe(1)
    expect(candidatesOf('a'.repeat(4097)).size).toBe(0)
    const found = candidatesOf('it was passw0rd!.')
    for (const one of ['passw0rd!.', 'passw0rd']) expect(found.has(one)).toBe(true)
  })

  test('is looked for decoded, too, by the same length', () => {
    expect(candidatesOf('%41bcdefgh').has('Abcdefgh')).toBe(true)
    expect(candidatesOf('%41bcdefg').has('Abcdefg')).toBe(false)
  })

  test('is taken out whole where another is a part of it, in whichever order they come', () => {
    const both = ['secret-one', 'secret-one-and-more']
    for (const issued of [both, [...both].reverse()]) {
      expect(redact('I had secret-one-and-more here', issued)).toBe('I had [redacted:issued] here')
    }
  })

  test('of a credential is each text of such a length, and nothing that is none', () => {
    const texts = { a: null, b: 'x'.repeat(7), c: 'x'.repeat(8), d: 'y'.repeat(4096), e: 'y'.repeat(4097), f: 12345678 }
    expect(unpatternedSecrets(texts)).toEqual(['x'.repeat(8), 'y'.repeat(4096)])
  })
})

test('what a caller writes is looked through in time that grows with its length, not with its square', () => {
  const begun = process.cpuUsage().user
  for (const unit of ['.', '-', ':;', '--pwd', '://a:b'] as const) {
    const text = `${unit.repeat(200_000 / unit.length)}x`
    expect(candidatesOf(text).size).toBeLessThan(100_000)
    expect(redactPatterns(text).length).toBeGreaterThan(0)
  }
  // Tens of times what it takes; by the square it is minutes.
  expect((process.cpuUsage().user - begun) / 1e6).toBeLessThan(30)
})
