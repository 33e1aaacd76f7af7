// Every pitfall that `policy check` knows: one policy that falls in, one that does not.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { runPolicyCheck } from '../../../src/admin/policy.js'
import { type ExampleFolder, exampleEnv, writeExample } from '../../support/example-config.js'
import { deploy, has, permits, read } from './pitfall-rows.js'

let example: ExampleFolder
beforeEach(() => {
  example = writeExample()
})
afterEach(() => example.remove())

const issuers = [
  '  gl: { type: oidc, preset: gitlab }',
  '  bk: { type: oidc, preset: buildkite }',
  '  cc: { type: oidc, preset: circleci, issuer: "https://oidc.circleci.com" }',
  '  google: { type: oidc, preset: gcp }',
  '  az: { type: oidc, preset: azure, issuer: "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0" }',
  '  tf: { type: oidc, preset: hcp-terraform }',
  '  bb: { type: oidc, preset: bitbucket, issuer: "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc" }',
  '  gh: { type: oidc, preset: github-actions, audience: gh }',
  '  tags: { type: oidc, preset: aws, issuer: "https://abc.tokens.sts.global.api.aws" }',
]

/** Warnings of `policy check` with these issuers beside the example's, and one more policy, as `line message`. */
async function warnings(policy: string, replace: readonly [string, string][] = []): Promise<string[]> {
  let text = example.text.replace('\ngroups:', `${issuers.join('\n')}\n\ngroups:`)
  for (const [from, to] of replace) {
    if (!text.includes(from)) throw new Error(`the configuration has no ${from}`)
    text = text.replace(from, to)
  }
  writeFileSync(example.file, text)
  if (policy !== '') writeFileSync(join(example.folder, 'policies', 'extra.cedar'), policy)
  const printed: { problems: { severity: string; file: string; line: number; message: string }[] }[] = []
  const output = { print: (value: unknown) => printed.push(value as (typeof printed)[number]), note: () => {} }
  await runPolicyCheck({ config: example.file, env: exampleEnv }, output)
  const problems = printed[0]?.problems ?? []
  expect(problems.filter(({ severity }) => severity !== 'warning')).toEqual([])
  // Beside the example's own issuer, which requires its owner, `gh` reaches this policy by a name: rightly told, not the point.
  const found = problems.filter(({ message }) => !message.startsWith('pipelines-read-their-own-repository: '))
  return found.map(({ file, line, message }) => `${file.split('/').at(-1)}:${line} ${message}`)
}

test('the example and these issuers by themselves are no reason to warn', async () => {
  expect(await warnings('')).toEqual([])
})

describe('policy check warns of', () => {
  test.each(permits)('%s', async (_what, warned, as, quiet) => {
    const found = await warnings(warned)
    expect(found.join('\n')).toMatch(as)
    for (const line of found) expect(line).toMatch(/^extra\.cedar:[12] /)
    expect((await warnings(quiet)).filter((line) => as.test(line))).toEqual([])
  })

  test('what only one side of an "or" tests', async () => {
    const loose = `(${has('principal.repository_id == "74"')}) || (${has('principal.ref == "refs/heads/main"')})`
    expect((await warnings(read('gh', loose))).join()).toMatch(/reaches anybody/)
    const tight = `(${has('principal.repository_id == "74"')}) || (${has('principal.repository_id == "75"')})`
    expect(await warnings(read('gh', tight))).toEqual([])
  })

  test('what a group lets in, and not what its `where` keeps out', async () => {
    const policy =
      '@id("p") permit (principal in Group::"web-pipelines", action == Action::"deploy.run", resource is Repo);'
    expect(await warnings(policy)).toEqual([])
    const loose = await warnings(policy, [
      ['event_name: [ push, workflow_dispatch ]', 'event_name: [ push, pull_request ]'],
    ])
    expect(loose.join()).toMatch(/event_name .* lets in pull_request /)
  })

  test('nothing that a forbid or an approval has taken care of', async () => {
    const pull = deploy('gh', has('principal.repository_id == "74"', 'principal.ref == "refs/heads/main"'))
    const forbid =
      '@id("f") forbid (principal, action in Action::"deploy", resource) when { principal has event_name && principal.event_name like "pull_request*" };'
    expect((await warnings(pull)).join()).toMatch(/event_name/)
    expect(await warnings(`${pull}${forbid}`)).toEqual([])
    expect(await warnings(`@approval("dba:1") ${pull}`)).toEqual([])
  })
})

const doubts: [what: string, from: string, to: string, as: RegExp, quiet: string][] = [
  [
    "GitHub's default audience",
    'audience: gh',
    'audience: "https://github.com/acme"',
    /other services take too/,
    'audience: "https://hp.acme"',
  ],
  [
    "the API server's audience",
    'issuer: https://oidc.cluster.acme.example',
    'audience: https://kubernetes.default.svc\n    issuer: https://oidc.cluster.acme.example',
    /"https:\/\/kubernetes\.default\.svc" is an audience/,
    'audience: https://hp.acme\n    issuer: https://oidc.cluster.acme.example',
  ],
  [
    "every cluster's URL",
    'issuer: https://oidc.cluster.acme.example',
    'issuer: https://kubernetes.default.svc',
    /names more than one issuer/,
    'jwks: { file: k.json }\n    issuer: https://kubernetes.default.svc',
  ],
  [
    'a URL of no Azure tenant',
    'microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0',
    'microsoftonline.com/common/v2.0',
    /it is no tenant/,
    'microsoftonline.com/21111111-2222-3333-4444-555555555555/v2.0',
  ],
  [
    'a tag that the caller wrote (AWS)',
    'global.api.aws"',
    'global.api.aws", attributes: { team: { claim: [ "https://sts.amazonaws.com/", request_tags, team ], type: string } }',
    /request_tags\/team proves nothing/,
    'global.api.aws", attributes: { team: { claim: [ "https://sts.amazonaws.com/", principal_tags, team ], type: string } }',
  ],
  [
    'the same, required',
    'global.api.aws"',
    'global.api.aws", require: { "https://sts.amazonaws.com/": { request_tags: { team: a } } }',
    /request_tags\/team proves nothing/,
    'global.api.aws", require: { "https://sts.amazonaws.com/": { principal_tags: { team: a } } }',
  ],
  [
    'an account of names',
    'preset: gitlab',
    'preset: gitlab, account: [ project_path ]',
    /project_path is a name/,
    'preset: gitlab, account: [ project_path, project_id ]',
  ],
]

describe('policy check warns of an issuer with', () => {
  test.each(doubts)('%s', async (_what, from, to, as, quiet) => {
    const found = await warnings('', [[from, to]])
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(as)
    const line = Number(/^hallpass\.yaml:(\d+) /.exec(found[0] ?? '')?.[1])
    expect(line).toBeGreaterThan(10)
    expect(await warnings('', [[from, quiet]])).toEqual([])
  })
})
