import { EventEmitter } from 'node:events'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { runHallpass } from '../../support/command-line.js'
import { type ExampleFolder, exampleEnv, writeExample } from '../../support/example-config.js'
import { until } from '../../support/wire-checks.js'

let example: ExampleFolder
let tests: string
beforeEach(() => {
  example = writeExample()
  tests = join(example.folder, 'policies', 'main.tests.yaml')
  copyFileSync('test/fixtures/policies.example.tests.yaml', tests)
})
afterEach(() => example.remove())

const run = (args: string[] = [], config = example.file) =>
  runHallpass(['policy', 'test', ...args, '--config', config], { environment: exampleEnv })

const change = (file: string, from: string | RegExp, to: string) => {
  const text = readFileSync(file, 'utf8')
  const changed = text.replace(from, to)
  if (changed === text) throw new Error(`${from} is not in ${file}`)
  writeFileSync(file, changed)
}

const oneCase = (members: string, expected = '{ effect: permit }') => `cases:
  - name: one
    ${members}
    expect: ${expected}
`
const deployer =
  'principal: { issuer: prod, subject: "spiffe://prod.acme.example/ns/ci/sa/deployer" }\n    request: { action: config.read, resource: "database:orders" }'

describe('policy test', () => {
  test("the operator's example: every policy is determined by some case", async () => {
    const { exitCode, stdout, stderr } = await run(['--coverage-min', '100'])
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout).toMatch(/26 ok, 0 failed; coverage 100 % \(11 of 11 policies\), set [0-9a-f]{64}\n$/)
    expect(stdout).toContain('whoever migrated a database in this session does not deploy')
  })

  test('the configuration to start from: the same', async () => {
    const { exitCode, stdout } = await run(['--coverage-min', '100'], 'config/hallpass.yaml')
    expect(exitCode).toBe(0)
    expect(stdout).toContain('coverage 100 % (8 of 8 policies)')
  })

  test('the example of the documents, by that configuration', async () => {
    const [, example = ''] =
      /```yaml\n(# policies\/deploy\.tests\.yaml\n[^`]*)```/.exec(readFileSync('docs/policies.md', 'utf8')) ?? []
    writeFileSync(tests, example)
    const { exitCode, stdout, stderr } = await run([tests], 'config/hallpass.yaml')
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout).toContain('4 ok, 0 failed')
  })

  // A case that could not fail would show nothing: each policy is taken out, and some case must notice.
  test('without any one of its policies some case fails', async () => {
    const file = join(example.folder, 'policies', 'main.cedar')
    const whole = readFileSync(file, 'utf8')
    const ids = [...whole.matchAll(/@id\("([^"]+)"\)/g)].map((match) => match[1] ?? '')
    expect(ids).toHaveLength(11)
    for (const id of ids) {
      // Its id and obligations stay, so that the test file still loads; it can just never apply.
      const end = whole.indexOf(';', whole.indexOf(`@id("${id}")`))
      const isOperators = id === 'on-call-revokes' || id === 'dba-approves-database-changes'
      const never = isOperators ? 'context has action && context.action == "none"' : 'context.task.depth < 0'
      writeFileSync(file, `${whole.slice(0, end)} when { ${never} }${whole.slice(end)}`)
      const { exitCode, stdout, stderr } = await run()
      expect({ id, stderr, exitCode }).toEqual({ id, stderr: '', exitCode: 1 })
      expect(stdout).toContain(`no case determines ${id} (${file}:`)
      expect(stdout).toMatch(/FAIL .*main\.tests\.yaml:\d+: /)
    }
  })

  test('a failed case says what was expected and what was seen, for people and for programs', async () => {
    change(
      tests,
      'policies: [ agents-query-orders ], offer: agents-query-orders, ttl: 5m',
      'policies: [ agents-read-config ], ttl: 10m',
    )
    const { exitCode, stdout } = await run()
    expect(exitCode).toBe(1)
    expect(stdout).toMatch(/an agent queries the orders for five minutes at most +permit +agents-query-orders +FAIL/)
    expect(stdout).toContain(
      '  policies: expected agents-read-config, saw agents-query-orders\n  ttl: expected 600 s, saw 300 s\n',
    )
    expect(stdout).toMatch(/FAIL .*main\.tests\.yaml:28: an agent queries/)
    expect(stdout).toContain('no case determines agents-query-orders')
    const json = JSON.parse((await run(['--output', 'json'])).stdout)
    expect(json).toMatchObject({ passed: 25, failed: 1, coverage: { percent: 90, determined: 10, policies: 11 } })
    expect(json.coverage.missed).toEqual([
      { id: 'agents-query-orders', file: expect.stringMatching(/main\.cedar$/), line: 12 },
    ])
    expect(json.cases.filter((one: { ok: boolean }) => !one.ok)).toMatchObject([
      {
        line: 28,
        expected: { effect: 'permit', ttl: 600 },
        seen: { effect: 'permit', ttl_seconds: 300, offer: 'agents-query-orders' },
      },
    ])
  })

  test('a chain: approvals add up, the least lifetime counts, and each above is judged by what itself holds', async () => {
    const agent = (name: string) => `{ issuer: prod, subject: "spiffe://prod.acme.example/agent/web/${name}" }`
    const query = (above: string, expected: string) =>
      oneCase(
        `principal: ${agent('helper')}\n    above: [ { principal: ${agent('fixer')}${above} } ]\n    request: { action: config.read, resource: "database:orders" }`,
        expected,
      )
    writeFileSync(
      join(example.folder, 'policies', 'chain.cedar'),
      `@id("fixer-asks") @approval("dba:1") @max_ttl("1m")
permit (principal in Issuer::"prod", action == Action::"config.read", resource)
when { principal has agent && principal.agent == "fixer" && context.account.granted.contains("database.query") };
@id("not-without") forbid (principal, action == Action::"config.read", resource)
when { principal has agent && principal.agent == "fixer" && !context.account.granted.contains("database.query") };
@id("depth-is-counted") forbid (principal, action == Action::"config.read", resource) when { context.task.depth != 1 };
`,
    )
    const plain =
      '@id("agents-read-config")\npermit (principal in Issuer::"prod", action == Action::"config.read", resource is Database)'
    change(
      join(example.folder, 'policies', 'main.cedar'),
      plain,
      `${plain} when { principal has agent && principal.agent == "helper" }`,
    )
    const granted = ', granted: { account: [ { action: database.query, resource: "database:orders" } ] }'
    writeFileSync(
      tests,
      query(
        granted,
        '{ effect: approval_required, approval: "dba:1", ttl: 1m, policies: [ agents-read-config, fixer-asks ] }',
      ),
    )
    expect(await run()).toMatchObject({ exitCode: 0, stderr: '' })
    writeFileSync(tests, query('', '{ effect: deny, reason: forbidden, policies: [ not-without ] }'))
    expect(await run()).toMatchObject({ exitCode: 0, stderr: '' })
  })

  test('a coverage below what was asked for fails, though every case is ok', async () => {
    writeFileSync(tests, oneCase(deployer))
    expect((await run()).exitCode).toBe(0)
    const { exitCode, stderr } = await run(['--coverage-min', '50'])
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: 'hallpass: coverage is 9 %, and at least 50 % was asked for\n',
    })
  })

  const unreadable: [string, string, RegExp][] = [
    [
      'an unknown field',
      oneCase(`${deployer}\n    colour: red`),
      /main\.tests\.yaml:5: cases\[0\]\.colour: unknown key; expected one of name, principal/,
    ],
    [
      'an unknown expectation',
      oneCase(deployer, '{ effect: permit, policy: x }'),
      /:5: cases\[0\]\.expect\.policy: unknown key/,
    ],
    ['another effect', oneCase(deployer, '{ effect: allow }'), /expect\.effect: expected one of permit, deny/],
    [
      'a policy that is not there',
      oneCase(deployer, '{ effect: permit, policies: [ gone ] }'),
      /:5: .*no policy has the @id "gone"/,
    ],
    [
      'an unknown issuer',
      oneCase('principal: { issuer: nobody, subject: x }'),
      /:3: cases\[0\]\.principal\.issuer: nobody is not in issuers:/,
    ],
    ['no principal', oneCase('binding: none'), /cases\[0\]\.principal\.issuer: is missing/],
    [
      'an attribute that the issuer does not give',
      oneCase('principal: { issuer: ci, subject: x, attributes: { namespace: y } }'),
      /attributes\.namespace: is no attribute of this issuer/,
    ],
    [
      'an attribute of another type',
      oneCase('principal: { issuer: ci, subject: x, attributes: { repository_id: 1296269 } }'),
      /attributes\.repository_id: expected String, as the issuer gives it/,
    ],
    [
      'somebody above of an unknown issuer',
      oneCase(`${deployer}\n    above: [ { principal: { issuer: nobody, subject: x } } ]`),
      /:5: cases\[0\]\.above\[0\]\.principal\.issuer: nobody is not in issuers:/,
    ],
    [
      'an operator above',
      oneCase(`${deployer}\n    above: [ { principal: { issuer: staff, subject: olga } } ]`),
      /above\[0\]\.principal\.issuer: staff is for operators, who open no task/,
    ],
    [
      'a ceiling of what is not there',
      oneCase(
        `${deployer}\n    above: [ { principal: { issuer: ci, subject: x }, ceiling: [ { action: config.read, resource: "repo:acme/web" } ] } ]`,
      ),
      /above\[0\]\.ceiling\[0\]\.resource: "repo:acme\/web" is no database/,
    ],
    [
      'somebody above an operator',
      oneCase(
        'principal: { issuer: staff, subject: olga }\n    request: { action: operate.view, resource: broker }\n    above: [ { principal: { issuer: ci, subject: x } } ]',
      ),
      /above: nobody stands above an operator/,
    ],
    [
      'an unknown action',
      oneCase(deployer.replace('config.read', 'config.write')),
      /request\.action: no grant is called config\.write/,
    ],
    [
      'an unknown resource',
      oneCase(deployer.replace(':orders', ':sales')),
      /request\.resource: "database:sales" is no resource/,
    ],
    [
      'a resource of another type',
      oneCase(deployer.replace('database:orders', 'bucket:reports')),
      /config\.read is on a database, and this is a bucket/,
    ],
    [
      'a lease of an unknown action',
      oneCase(`${deployer}\n    held: { session: [ { action: x, resource: "database:orders" } ] }`),
      /held\.session\[0\]: no grant is called x/,
    ],
    [
      'a duration that is none',
      oneCase(deployer, '{ effect: permit, ttl: 5 }'),
      /expect\.ttl: expected a string, got a number|expect\.ttl: /,
    ],
    ['no cases', 'cases: []\n', /cases: expected at least one case/],
    ['two of a name', `${oneCase(deployer)}${oneCase(deployer).replace('cases:\n', '')}`, /two cases are called "one"/],
  ]
  test.each(unreadable)('%s: exit 2 with file, line and field', async (_, text, message) => {
    writeFileSync(tests, text)
    const { exitCode, stdout, stderr } = await run()
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/main\.tests\.yaml:\d+: /)
  })

  test('a folder without tests, a path that is not there, a percentage that is none: exit 2', async () => {
    writeFileSync(tests, '')
    expect((await run([join(example.folder, 'policies', 'main.cedar', 'x')])).exitCode).toBe(2)
    expect((await run(['--coverage-min', '101'])).exitCode).toBe(2)
    expect((await run([join(example.folder, 'tls.pem')])).exitCode).toBe(2)
  })

  test('what looks like a reference is text: a test file opens no other', async () => {
    writeFileSync(
      tests,
      oneCase(
        deployer.replace('subject: "spiffe://prod.acme.example/ns/ci/sa/deployer"', 'subject: "file:/etc/hostname"'),
      ),
    )
    const { stdout } = await run(['--output', 'json'])
    expect(JSON.parse(stdout)).toMatchObject({ passed: 1 })
  })

  test('--watch runs again on a change and ends with Ctrl-C', async () => {
    const signals = new EventEmitter()
    const written = { stdout: '', stderr: '' }
    const argv = ['policy', 'test', '--watch', '--config', example.file]
    const running = runHallpass(argv, { environment: exampleEnv, signals, written })
    // It goes on: whoever ends by itself is not waited for in vain.
    let hasEnded = false
    const done = running.finally(() => {
      hasEnded = true
    })
    const untilPrinted = (words: string) =>
      until(
        () => ({ ...written, hasEnded }),
        (seen) => seen.stdout.includes(words) || seen.hasEnded,
        60,
      )
    await untilPrinted('26 ok, 0 failed')
    change(tests, 'ttl: 5m }', 'ttl: 6m }')
    await untilPrinted('25 ok, 1 failed')
    expect(hasEnded).toBe(false)
    signals.emit('SIGINT')
    const { exitCode, stdout, stderr } = await done
    expect(stdout).toContain('26 ok, 0 failed')
    expect(stderr).toContain('--- changed: running again')
    expect(stdout).toContain('25 ok, 1 failed')
    expect(exitCode).toBe(1)
  })
})
