import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { canonicalJson } from '../../../src/core/canonical-json.js'
import { sha256Hex } from '../../../src/core/hash.js'
import { checkDeclaredUses } from '../../../src/policy/declared-uses.js'
import { readPolicyFiles } from '../../../src/policy/policy-files.js'
import { PolicySetError, parsePolicySet } from '../../../src/policy/policy-set.js'
import { loadExample } from '../../support/example-config.js'

let schema: string
beforeAll(async () => {
  schema = (await loadExample()).schema
})

const parse = (files: Record<string, string>) => parsePolicySet(files, { schema, groups: new Set(['dba', 'web']) })
const good = '@id("good")\npermit (principal in Group::"dba", action == Action::"config.read", resource);\n'

async function problemsOf(files: Record<string, string>): Promise<string[]> {
  const error = await parse(files).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof PolicySetError)) throw new Error(`expected a PolicySetError, got ${String(error)}`)
  return error.message.split('\n')
}

const permit = (annotations: string, action = 'action == Action::"config.read"') =>
  `${good}@id("x") ${annotations}\npermit (principal, ${action}, resource);`
const when = (condition: string) =>
  `${good}@id("x")\npermit (principal, action == Action::"config.read", resource)\nwhen { ${condition} };`

describe('a policy set is refused as a whole, with file and line, for', () => {
  test.each([
    ['text that is not Cedar', `${good}permit (principal action);`, 'a.cedar:3: ', 'unexpected token `action`'],
    [
      'an attribute that the schema does not have',
      when('principal.nope == "x"'),
      'a.cedar:5: ',
      '`nope` on entity type `Workload` not found',
    ],
    [
      'an optional attribute without has',
      when('principal.agent == "x"'),
      'a.cedar:5: ',
      'access to optional attribute `agent`',
    ],
    ['an unknown action', permit('', 'action == Action::"nope"'), 'a.cedar:4: ', 'unrecognized action'],
    [
      'an unknown entity type',
      `${good}@id("x") permit (principal is Robot, action == Action::"config.read", resource);`,
      'a.cedar:3: ',
      'Robot',
    ],
    ['a type error', when('context.recent_denials == "3"'), 'a.cedar:5: ', 'Long and String are not compatible'],
    ['undeclared context of this action', when('context.declared.change_type == "x"'), 'a.cedar:5: ', 'change_type'],
    [
      'a missing @id',
      `${good}permit (principal, action == Action::"config.read", resource);`,
      'a.cedar:3: ',
      'expected an @id',
    ],
    [
      'an unreadable @id',
      `${good}@id("a b")\npermit (principal, action == Action::"config.read", resource);`,
      'a.cedar:3: ',
      'expected an @id of',
    ],
    [
      'a repeated annotation',
      `${good}@id("x") @id("y")\npermit (principal, action, resource);`,
      'a.cedar:3: ',
      'duplicate annotation',
    ],
    ['an unreadable @max_ttl', permit('@max_ttl("soon")'), 'a.cedar:3: ', '@max_ttl with a duration'],
    ['a @max_ttl of nothing', permit('@max_ttl("0s")'), 'a.cedar:3: ', '@max_ttl with a duration'],
    ['a @max_ttl without a value', permit('@max_ttl'), 'a.cedar:3: ', '@max_ttl with a duration'],
    ['an unreadable @approval', permit('@approval("dba")'), 'a.cedar:3: ', '"group:count"'],
    ['an @approval of nobody', permit('@approval("dba:0")'), 'a.cedar:3: ', '"group:count"'],
    ['an @approval by an unknown group', permit('@approval("ghosts:1")'), 'a.cedar:3: ', '"ghosts" is not in groups'],
    ['an unreadable @approval_timeout', permit('@approval("dba:1") @approval_timeout("soon")'), 'a.cedar:3: ', 'a day'],
    ['an @approval_timeout of two days', permit('@approval("dba:1") @approval_timeout("48h")'), 'a.cedar:3: ', 'a day'],
    ['an @approval_timeout of nothing', permit('@approval_timeout("10m")'), 'a.cedar:3: ', 'nothing here needs'],
    ['an unreadable @binding', permit('@binding("none")'), 'a.cedar:3: ', '"dpop", "mtls" or "any"'],
    ['an annotation that nobody obeys', permit('@aproval("dba:1")'), 'a.cedar:3: ', '@aproval is unknown'],
    ...['@binding("dpop")', '@approval("dba:1")', '@max_ttl("5m")'].map((obligation) => [
      `${obligation} on what operators do`,
      permit(obligation, 'action in [Action::"config.read", Action::"operate.revoke"]'),
      'a.cedar:3: ',
      'on a permit of operate.* has no effect',
    ]),
    [
      '@max_ttl on a forbid',
      `${good}@id("x") @max_ttl("5m")\nforbid (principal, action, resource);`,
      'a.cedar:3: ',
      'on a forbid',
    ],
    [
      '@approval on a forbid',
      `${good}@id("x")\n@approval("dba:1")\nforbid (principal, action, resource);`,
      'a.cedar:4: ',
      'on a forbid',
    ],
    ['a permit that reaches operate.* unnamed', permit('', 'action'), 'a.cedar:4: ', 'reaches operate.*'],
    [
      'an unknown group in the scope',
      `${good}@id("x")\npermit (principal in Group::"ghosts", action == Action::"config.read", resource);`,
      'a.cedar:4: ',
      'Group::"ghosts" is not in groups',
    ],
    [
      'an unknown group in a condition',
      when('principal in [Group::"dba", Group::"ghosts"]'),
      'a.cedar:5: ',
      'Group::"ghosts"',
    ],
    ['a template', `${good}@id("x")\npermit (principal == ?principal, action, resource);`, 'a.cedar:4: ', 'template'],
  ])('%s', async (_, text, place, message) => {
    const problems = await problemsOf({ 'a.cedar': text })
    expect(problems[0]).toContain(message)
    expect(problems[0]?.startsWith(place)).toBe(true)
  })

  test('a repeated @id in another file, naming both', async () => {
    expect(await problemsOf({ 'a.cedar': good, 'b.cedar': `\n${good}` })).toEqual([
      'b.cedar:2: @id "good" is also at a.cedar:1; expected it once',
    ])
  })

  test.each([[{}], [{ 'a.cedar': '' }], [{ 'a.cedar': '// permit (principal, action, resource);\n' }]])(
    'no policy at all: %j',
    async (files) => {
      expect((await problemsOf(files))[0]).toContain('expected at least one policy')
    },
  )

  test('several things at once, each in its place', async () => {
    const problems = await problemsOf({ 'b.cedar': permit('@max_ttl("x") @approval("y")'), 'a.cedar': 'permit' })
    expect(problems.map((problem) => problem.slice(0, 10))).toEqual(['a.cedar:1:', 'b.cedar:3:', 'b.cedar:3:'])
  })
})

describe('a policy set', () => {
  test('finds policies behind comments, semicolons in strings and letters of several bytes', async () => {
    const text = `// permit; "\n@id("é".x")`.replace('"é".x"', '"first"')
    const { policies } = await parse({
      'a.cedar':
        `${text} @description("a; b // é\\"")\npermit (principal, action == Action::"config.read", resource) // ; é\nwhen { resource.id == ";é" };\n/**/`.replace(
          '/**/',
          `@id("second") forbid (principal, action, resource) when { resource is Repo };`,
        ),
    })
    expect(policies.map(({ id, line }) => [id, line])).toEqual([
      ['first', 2],
      ['second', 5],
    ])
  })

  test('places an error behind letters of several bytes', async () => {
    const problems = await problemsOf({ 'a.cedar': when('resource.id == "ééééééééééééé" &&\n principal.nope') })
    expect(problems[0]?.startsWith('a.cedar:6: ')).toBe(true)
  })

  test('lets a permit for workloads alone leave the action open', async () => {
    const text = '@id("x") permit (principal is Workload, action, resource);'
    expect((await parse({ 'a.cedar': text })).policies[0]?.actions).toBeNull()
  })

  test('has the hash of its paths and texts, whatever the order', async () => {
    const other = good.replace('good', 'other')
    const { hash } = await parse({ 'b.cedar': other, 'a.cedar': good })
    expect(hash).toBe(sha256Hex(canonicalJson({ 'a.cedar': good, 'b.cedar': other })))
    expect((await parse({ 'a.cedar': good, 'b.cedar': other })).hash).toBe(hash)
    expect((await parse({ 'a.cedar': good, 'c.cedar': other })).hash).not.toBe(hash)
  })

  test('warns of a policy that can never apply', async () => {
    const { warnings } = await parse({ 'a.cedar': when('false') })
    expect(warnings).toMatchObject([{ file: 'a.cedar', line: 3, message: expect.stringContaining('impossible') }])
  })
})

describe('declared values', () => {
  const grants = [
    {
      action: 'database.migrate',
      access: 'write',
      fields: ['change_type', 'ticket'],
      consumed: new Set(['change_type']),
      approved: false,
    },
  ]
  const used = async (annotation: string, condition: string, over = {}) => {
    const text = `@id("x") ${annotation} permit (principal, action == Action::"database.migrate", resource) when { ${condition} };`
    const set = await parse({ 'a.cedar': text })
    return checkDeclaredUses(
      set,
      grants.map((grant) => ({ ...grant, ...over })),
    ).map((problem) => problem.message)
  }

  test('may be tested where the recipe consumes them', async () => {
    expect(await used('', 'context.declared.change_type == "schema"')).toEqual([])
  })

  test.each([
    'context.declared has ticket',
    'context.declared has ticket && context.declared.ticket like "OPS-*"',
    'context has declared.ticket',
  ])('may not be tested otherwise: %s', async (condition) => {
    expect(await used('', condition)).toEqual([expect.stringContaining('context.declared.ticket')])
    expect(await used('@approval("dba:1")', condition)).toEqual([])
    expect(await used('', condition, { approved: true })).toEqual([])
  })
})

describe('the policy folder', () => {
  test('is read with sub-folders and links, without hidden copies and other files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hallpass-policies-'))
    try {
      mkdirSync(join(folder, '..data'))
      mkdirSync(join(folder, 'teams'))
      writeFileSync(join(folder, '..data', 'a.cedar'), 'a')
      symlinkSync(join(folder, '..data', 'a.cedar'), join(folder, 'a.cedar'))
      writeFileSync(join(folder, 'teams', 'b.cedar'), 'b')
      writeFileSync(join(folder, 'a.tests.yaml'), 'x')
      expect(await readPolicyFiles(folder)).toEqual({ 'a.cedar': 'a', 'teams/b.cedar': 'b' })
      writeFileSync(join(folder, 'c.cedar'), Buffer.from([0xff]))
      await expect(readPolicyFiles(folder)).rejects.toBeInstanceOf(PolicySetError)
    } finally {
      rmSync(folder, { recursive: true })
    }
    await expect(readPolicyFiles(folder)).rejects.toThrow('cannot be read')
  })
})
