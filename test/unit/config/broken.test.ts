// Every mistake that an operator can make in one line of the example: start-up stops with its line and what was expected.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parseConfig } from '../../../src/config/load.js'
import { ConfigError } from '../../../src/config/problems.js'
import { type ExampleFolder, exampleEnv, writeExample } from '../../support/example-config.js'

let example: ExampleFolder
beforeAll(() => {
  example = writeExample()
})
afterAll(() => example.remove())

function problemsOf(text: string): ConfigError['problems'] {
  try {
    parseConfig(text, example.file, exampleEnv)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  throw new Error('it was taken')
}

/** The text put in place of `from`, and the line on which it then stands. */
function broken(from: string, to: string): { text: string; line: number } {
  const at = example.text.indexOf(from)
  if (at < 0) throw new Error(`the example has no ${from}`)
  // `‸` marks the place of the problem, where the replacement has several lines.
  const mark = Math.max(to.indexOf('‸'), 0)
  const clean = to.replace('‸', '')
  const line = (example.text.slice(0, at) + clean.slice(0, mark)).split('\n').length
  return { text: example.text.slice(0, at) + clean + example.text.slice(at + from.length), line }
}

describe('a broken configuration stops start-up, naming line, path and what was expected, for', () => {
  test.each([
    [
      'an unknown key',
      'policies: ./policies',
      'polices: ./policies',
      'polices',
      'unknown key; expected one of issuer, listen, tls',
    ],
    ['a missing section', 'audit: {', 'limits2: {', 'limits2', 'unknown key'],
    ['a number that is text', 'depth: 5', 'depth: five', 'limits.task.depth', 'expected a whole number'],
    ['a count of nothing', 'open_tasks: 100', 'open_tasks: 0', 'limits.account.open_tasks', 'expected at least 1'],
    [
      'an unreadable duration',
      'lease: { ttl: 1h }',
      'lease: { ttl: 1 hour }',
      'limits.lease.ttl',
      'expected a duration such as 90s, 10m or 1h',
    ],
    [
      'a duration without a unit',
      'lease: { ttl: 1h }',
      'lease: { ttl: 3600 }',
      'limits.lease.ttl',
      'expected a string, got a number',
    ],
    [
      'http beyond loopback',
      'issuer: https://hallpass.acme.example ',
      'issuer: http://hallpass.acme.example ',
      'issuer',
      'expected an https:// URL',
    ],
    [
      'an issuer with a last slash',
      'issuer: https://hallpass.acme.example ',
      'issuer: https://hallpass.acme.example/ ',
      'issuer',
      'without a query or a last slash',
    ],
    ['an address without a port', 'listen: 127.0.0.1:8700 ', 'listen: localhost ', 'listen', 'expected host:port'],
    [
      'an unknown address',
      'listen: 127.0.0.1:8700 ',
      'listen: { workload: "127.0.0.1:1" } ',
      'listen.workload',
      'unknown key; expected one of workloads, operators, metrics',
    ],
    [
      'a secret written out',
      'sealing: env:HALLPASS_SEALING_KEY',
      `sealing: ${Buffer.alloc(32).toString('base64')}`,
      'keys.sealing',
      'is a secret: expected a reference',
    ],
    [
      'a password in a URL',
      'url: env:REDIS_URL',
      'url: "redis://:secret@localhost:6379"',
      'redis.url',
      'is a secret: expected a reference',
    ],
    [
      'a sealing key of the wrong length',
      'sealing: env:HALLPASS_SEALING_KEY',
      'sealing: env:HOSTNAME',
      'keys.sealing',
      'expected 32 bytes in base64',
    ],
    [
      'an unset variable',
      'url: env:REDIS_URL',
      'url: env:REDIS_URI',
      'redis.url',
      'environment variable REDIS_URI is not set',
    ],
    [
      'a file that is not there',
      'ca: file:vault-ca.pem',
      'ca: file:none.pem',
      'providers.vault.ca',
      'file none.pem cannot be read (ENOENT)',
    ],
    [
      'a Redis URL of another kind',
      'url: env:REDIS_URL',
      'url: "http://localhost"',
      'redis.url',
      'expected a redis://',
    ],
    ['a prefix with braces', 'prefix: hallpass', 'prefix: "{hallpass}"', 'redis.prefix', 'expected a prefix'],
    ['an unknown issuer type', 'type: spiffe', 'type: saml', 'issuers.prod.type', 'expected'],
    [
      'an unknown key of an issuer',
      'trust_domain: prod.acme.example',
      'trust_domain: prod.acme.example\n    ‸jwks_url: x',
      'issuers.prod.jwks_url',
      'unknown key; expected one of type, use, trust_domain',
    ],
    [
      'an issuer that is ourselves',
      'issuer: https://login.acme.example',
      'issuer: https://hallpass.acme.example',
      'issuers.staff.issuer',
      'no issuer of its own',
    ],
    [
      'an attribute with two types',
      'email: { claim: email, type: string }',
      'roles2: { claim: email, type: text }',
      'issuers.staff.attributes.roles2.type',
      'expected string, number, boolean or set',
    ],
    ['an issuer that reads like a reference', '  cluster:', '  file:', 'issuers.file', 'is how references begin'],
    [
      'a group of an unknown issuer',
      '[ { issuer: staff, where: { roles: dba } } ]',
      '[ { issuer: stuff, where: { roles: dba } } ]',
      'groups.dba[0]',
      'issuer "stuff" is not in issuers:',
    ],
    [
      'a group by an unknown attribute',
      'where: { roles: dba }',
      'where: { role: dba }',
      'groups.dba[0].where.role',
      'staff gives no attribute "role"',
    ],
    [
      'a group by a number where ids are text',
      'repository_id: "1296269"',
      'repository_id: 1296269',
      'groups.web-pipelines[0].where.repository_id',
      'expected String values',
    ],
    [
      'a group of everybody',
      'where: { roles: dba }',
      'where: {}',
      'groups.dba[0].where',
      'expected at least one attribute',
    ],
    [
      'a resource id in capitals',
      '"bucket:reports":',
      '"bucket:Reports":',
      'resources."bucket:Reports"',
      'expected type:id in lower case',
    ],
    [
      'a placeholder in part of a segment',
      '"repo:acme/{name}":',
      '"repo:acme/x-{name}":',
      'resources."repo:acme/x-{name}"',
      'one whole {name}',
    ],
    [
      'two patterns for the same ids',
      '"bucket:reports":',
      '"repo:{owner}/web": {}\n  "bucket:reports":',
      'resources."repo:{owner}/web"',
      'could fit the same ids as repo:acme/{name}',
    ],
    [
      'an attribute of two types',
      'sensitivity: low, environment: staging }\n  "repo',
      'sensitivity: 1, environment: staging }\n  ‸"repo',
      'resources."repo:acme/{name}".sensitivity',
      'is String here and Long in repo:acme/web',
    ],
    [
      'a resource type that Cedar needs',
      '"bucket:reports":',
      '"group:reports":',
      'resources."group:reports"',
      'is a name that policies already use',
    ],
    [
      'an unknown access class',
      'access: deploy',
      'access: execute',
      'grants."deploy.run".access',
      'expected one of read, write, deploy, admin',
    ],
    [
      'a grant with an unknown key',
      'standing: true',
      'permanent: true',
      'grants."settings.read".permanent',
      'unknown key; expected one of access, resource, provider',
    ],
    [
      'an action of the operators',
      '  deploy.run:',
      '  operate.deploy:',
      'grants."operate.deploy"',
      'operators’ actions',
    ],
    [
      'an unknown provider',
      'provider: aws',
      'provider: awz',
      'grants."object.read".provider',
      'awz is not in providers:; expected one of vault, aws, tokens',
    ],
    [
      'a resource type that nothing has',
      'resource: bucket',
      'resource: buckets',
      'grants."object.read".resource',
      'no resource of type buckets',
    ],
    [
      'a default beyond the maximum',
      'ttl: { default: 20m, max: 1h }',
      'ttl: { default: 2h, max: 1h }',
      'grants."object.read".ttl',
      'expected default between 1s and max',
    ],
    [
      'a pattern that is none',
      'pattern: "OPS-[0-9]+"',
      'pattern: "OPS-[0-9"',
      'grants."database.migrate".context.ticket.pattern',
      'expected a regular expression',
    ],
    [
      'a choice of another type',
      'one_of: [schema, data]',
      'one_of: [schema, 2]',
      'grants."database.migrate".context.change_type.one_of',
      'expected only values of type string',
    ],
    [
      'an unknown placeholder',
      '"read-${resource.vault_role}"',
      '"read-${resource.role}"',
      'grants."config.read".recipe.policies[0]',
      '${resource.role} is absent on database:orders',
    ],
    [
      'a placeholder of free text',
      '-${declared.change_type}"',
      '-${declared.ticket}"',
      'grants."database.migrate".recipe.path',
      'expected a context field with one_of',
    ],
    [
      'a placeholder that exec cannot fill',
      '"${credential.username}"',
      '"${lease.username}"',
      'grants."database.query".env.PGUSER',
      '${lease.username} is unknown',
    ],
    ['a recipe that its provider does not know', 'kind: token', 'kind: tokens', 'grants."config.read".recipe.kind', ''],
    [
      'a copy of a standing secret, unsaid',
      'true                           # a copy of a standing secret: must be said, class `standing`, shown in decision and audit\n',
      'false\n‸',
      'grants."settings.read".recipe.kind',
      'standing: true',
    ],
    [
      'a recipe without its session policy',
      'session_policy:  ',
      'session_polizy:  ',
      'grants."object.read".recipe.session_polizy',
      'unknown key',
    ],
    [
      'a token for ourselves',
      'audience: https://deploy.acme.example',
      'audience: https://hallpass.acme.example',
      'grants."deploy.run".recipe.audience',
      'audiences',
    ],
    [
      'a token for a provider',
      'audience: https://deploy.acme.example',
      'audience: https://vault.acme.example:8200',
      'grants."deploy.run".recipe.audience',
      'audiences',
    ],
    [
      'approval by an unknown group',
      'require: { binding: any }',
      'require: { approval: "owners:1" }',
      'grants."deploy.run".require.approval',
      'group owners is not in groups:',
    ],
    [
      'an unreadable approval',
      'require: { binding: any }',
      'require: { approval: owners }',
      'grants."deploy.run".require.approval',
      'expected group:count',
    ],
    ['an unknown provider type', 'type: aws_sts', 'type: gcp', 'providers.aws.type', 'expected'],
    ['a provider beyond its bounds', 'concurrency: 16', 'concurrency: 0', 'providers.vault.concurrency', ''],
    [
      'a missing key of a provider',
      'aws:\n    type: aws_sts\n    region: eu-west-1',
      '‸aws:\n    type: aws_sts',
      'providers.aws.region',
      'is missing: expected a string',
    ],
    [
      'a duplicate key',
      'policies: ./policies',
      'policies: ./policies\n‸policies: ./other',
      '',
      'Map keys must be unique',
    ],
    ['an anchor', 'max: 30m', 'max: &m 30m', 'grants."database.query".ttl.max', 'expected no anchors'],
    ['a tag', 'max: 30m', 'max: !duration 30m', '', 'tag'],
    ['a merge key', 'prefix: hallpass', '<<: { prefix: x }', 'redis."<<"', 'unknown key'],
    ['a prototype', 'prefix: hallpass', '__proto__: { prefix: x }', 'redis.__proto__', 'is not an allowed key'],
    ['text that is not YAML', 'redis: {', 'redis: [', '', 'Flow sequence'],
    [
      'nothing where a mapping belongs',
      'audit: { directory: /var/lib/hallpass/audit, instance: env:HOSTNAME }',
      'audit:',
      'audit',
      'expected a mapping, got nothing',
    ],
  ])('%s', (_, from, to, path, message) => {
    const { text, line } = broken(from, to)
    const problems = problemsOf(text)
    const shown = problems.map((problem) => `${problem.line} ${problem.path}: ${problem.message}`)
    const fitting = problems.filter((problem) => problem.path === path && problem.message.includes(message))
    expect({ shown, found: fitting.length > 0 }).toEqual({ shown, found: true })
    expect({ shown, lines: fitting.map((problem) => problem.line) }).toEqual({
      shown,
      lines: expect.arrayContaining([line]),
    })
  })

  test('listening to everybody without tls', () => {
    const { text } = broken('tls: { certificate: file:tls.pem, key: file:tls.key }', '')
    const [problem] = problemsOf(text.replace('127.0.0.1:8700 ', '0.0.0.0:8700 '))
    expect(problem).toMatchObject({ path: 'listen', line: 6, message: expect.stringContaining('expected tls') })
  })

  test('several mistakes, all at once and in the order of the file', () => {
    const text = broken('depth: 5', 'depth: five').text.replace('prefix: hallpass', 'prefix: "{}"')
    expect(problemsOf(text).map(({ path }) => path)).toEqual(['redis.prefix', 'limits.task.depth'])
  })

  test('nothing at all', () => {
    expect(problemsOf('')[0]).toMatchObject({ line: 1, path: '', message: 'expected a mapping, got nothing' })
    expect(problemsOf('- a\n')[0]).toMatchObject({ line: 1, path: '', message: 'expected a mapping, got a list' })
  })

  test('names the file, and never the value of a secret', () => {
    const text = broken('url: env:REDIS_URL', 'url: "redis://:hunter2@localhost:6379"').text
    try {
      parseConfig(text, example.file, exampleEnv)
    } catch (error) {
      expect(String(error)).toContain(`${example.file}:8: redis.url: `)
      expect(String(error)).not.toContain('hunter2')
      return
    }
    throw new Error('it was taken')
  })
})
