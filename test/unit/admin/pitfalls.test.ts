// Every pitfall that `policy check` knows: one policy that falls in, one that does not.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { runPolicyCheck } from '../../../src/admin/policy.js'
import { type ExampleFolder, exampleEnv, writeExample } from '../../support/example-config.js'

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

const read = (issuer: string, when: string) =>
  `@id("p") permit (principal in Issuer::"${issuer}", action == Action::"settings.read", resource is Repo)\nwhen { ${when} };\n`
const deploy = (issuer: string, when: string) => read(issuer, when).replace('settings.read', 'deploy.run')

test('the example and these issuers by themselves are no reason to warn', async () => {
  expect(await warnings('')).toEqual([])
})

const has = (...tests: string[]) =>
  tests.map((one) => `principal has ${/(?:contains\()?principal\.(\w+)/.exec(one)?.[1]} && ${one}`).join(' && ')
const githubPush = [
  'principal.repository_id == "74"',
  'principal.ref == "refs/heads/main"',
  'principal.event_name == "push"',
]
const gitlabMain = [
  'principal.project_id == "20"',
  'principal.ref_path == "refs/heads/main"',
  'principal.ref_protected == "true"',
]
const circleMain = [
  ...[
    'principal.project_id == "2"',
    'principal.vcs_origin == "github.com/acme/web"',
    'principal.vcs_ref == "refs/heads/main"',
  ],
  'principal.ssh_rerun == false',
]

const permits: [what: string, warned: string, as: RegExp, quiet: string][] = [
  [
    'a name where an immutable id exists (GitHub)',
    read('gh', has('principal.repository == "acme/web"')),
    /repository .* is a name.*repository_id or repository_owner_id/,
    read('gh', has('principal.repository == "acme/web"', 'principal.repository_owner_id == "65"')),
  ],
  [
    'a subject of names',
    '@id("p") permit (principal == Workload::"gh:repo:acme/web:ref:refs/heads/main", action == Action::"settings.read", resource is Repo);',
    /subject .* is a name/,
    read('gh', has('principal.repository_id == "74"')),
  ],
  [
    'the same of GitLab, Buildkite, Google, Azure and HCP Terraform: GitLab',
    read('gl', has('principal.project_path == "acme/web"')),
    /project_path .* is a name.*project_id/,
    read('gl', has('principal.project_path == "acme/web"', 'principal.project_id == "20"')),
  ],
  [
    'Buildkite slugs',
    read('bk', has('principal.organization_slug == "acme"', 'principal.pipeline_slug == "app"')),
    /organization_slug .* is a name/,
    read('bk', has('principal.organization_id == "f8"', 'principal.pipeline_slug == "app"')),
  ],
  [
    'a Google address',
    read('google', has('principal.email == "x@y.iam.gserviceaccount.com"', 'principal.email_verified == true')),
    /email .* is a name.*service_account_id/,
    read('google', has('principal.service_account_id == "110987294251917851298"')),
  ],
  [
    'a Google address that nobody verified',
    read('google', has('principal.email == "x@y.iam.gserviceaccount.com"', 'principal.service_account_id == "1"')),
    /email .* alone is not enough.*email_verified/,
    read(
      'google',
      `${has('principal.email == "x@y"', 'principal.service_account_id == "1"')} && principal has email_verified && principal.email_verified`,
    ),
  ],
  [
    'an Azure resource path',
    read('az', has('principal.xms_mirid == "/subscriptions/x"')),
    /xms_mirid .* is a name.*oid/,
    read('az', has('principal.oid == "33333333-4444-5555-6666-777777777777"')),
  ],
  [
    'a Terraform workspace by name',
    read('tf', has('principal.terraform_workspace_name == "prod"')),
    /terraform_workspace_name .* is a name/,
    read('tf', has('principal.terraform_workspace_id == "ws-1"')),
  ],
  [
    'a Kubernetes service account by name',
    read('cluster', has('principal.kubernetes_service_account == "deployer"')),
    /kubernetes_service_account .* is a name.*kubernetes.io\/serviceaccount\/uid/,
    read('cluster', has('principal.kubernetes_pod_uid == "77"')),
  ],
  [
    'everybody with a token of the issuer',
    read('gh', has('principal.ref == "refs/heads/main"')),
    /reaches anybody who can have a token of issuer "gh"/,
    read('gh', has('principal.repository_id == "74"')),
  ],
  [
    'everybody at CircleCI, through the issuer without organisation',
    read('cc', has('principal.ssh_rerun == false')),
    /reaches anybody .* "cc"/,
    read('cc', has('principal.project_id == "22"')),
  ],
  [
    'no ref or environment on a change',
    deploy('gh', has('principal.repository_id == "74"', 'principal.event_name == "push"')),
    /permits more than reading to every branch of issuer "gh"/,
    deploy('gh', has(...githubPush)),
  ],
  [
    'pull requests that reach a change',
    deploy('gh', has('principal.repository_id == "74"', 'principal.environment == "prod"')),
    /event_name .* is not tested on a permit of more than reading/,
    deploy('gh', has(...githubPush)),
  ],
  [
    'pull requests that are let in by name',
    deploy(
      'gh',
      `${has('principal.repository_id == "74"', 'principal.ref == "refs/heads/main"')} && principal has event_name && ["push", "pull_request_target"].contains(principal.event_name)`,
    ),
    /event_name .* lets in pull_request_target/,
    deploy(
      'gh',
      `${has(...githubPush.slice(0, 2))} && principal has event_name && ["push", "schedule"].contains(principal.event_name)`,
    ),
  ],
  [
    'merge requests (GitLab)',
    deploy('gl', has(...gitlabMain.slice(0, 2))),
    /pipeline_source .* is not tested/,
    deploy('gl', has(...gitlabMain)),
  ],
  [
    'builds of forks (Buildkite)',
    deploy('bk', has('principal.pipeline_id == "p"', 'principal.build_branch == "main"')),
    /build_source .* is not tested.*cluster_id/,
    deploy(
      'bk',
      has('principal.pipeline_id == "p"', 'principal.build_branch == "main"', 'principal.cluster_id == "c"'),
    ),
  ],
  [
    'forks (CircleCI)',
    deploy('cc', has(...circleMain.filter((one) => !one.includes('vcs_origin')))),
    /vcs_origin .* is not tested/,
    deploy('cc', has(...circleMain)),
  ],
  [
    'a person with SSH (CircleCI)',
    deploy('cc', has(...circleMain.slice(0, 3))),
    /ssh_rerun .* is not tested/,
    deploy('cc', `${has(...circleMain.slice(0, 3))} && principal has ssh_rerun && !principal.ssh_rerun`),
  ],
  [
    'plans (HCP Terraform)',
    deploy('tf', has('principal.terraform_workspace_id == "ws-1"')),
    /terraform_run_phase .* is not tested.*unreviewed pull requests/,
    deploy('tf', has('principal.terraform_workspace_id == "ws-1"', 'principal.terraform_run_phase == "apply"')),
  ],
  [
    'pull requests (Bitbucket)',
    deploy('bb', has('principal.repository_uuid == "{1}"', 'principal.branch_name == "main"')),
    /deployment_environment_uuid .* is not tested/,
    deploy('bb', has('principal.repository_uuid == "{1}"', 'principal.deployment_environment_uuid == "{2}"')),
  ],
  [
    'a tag with the name of a branch (GitLab)',
    read('gl', has('principal.project_id == "20"', 'principal.ref == "main"')),
    /ref .* alone is not enough, a tag and a branch/,
    read('gl', has('principal.project_id == "20"', 'principal.ref == "main"', 'principal.ref_type == "branch"')),
  ],
  [
    'a reusable workflow without its caller',
    read('gh', has('principal.job_workflow_ref == "acme/a/.github/workflows/d.yml@refs/heads/main"')),
    /job_workflow_ref .* alone is not enough/,
    read(
      'gh',
      has(
        'principal.job_workflow_ref == "acme/a/.github/workflows/d.yml@refs/heads/main"',
        'principal.repository_owner_id == "65"',
      ),
    ),
  ],
  [
    'a reusable workflow at any ref',
    read(
      'gh',
      has('principal.job_workflow_ref like "acme/a/.github/workflows/d.yml@*"', 'principal.repository_id == "74"'),
    ),
    /job_workflow_ref like .* is not pinned/,
    read('gh', has('principal.job_workflow_ref like "acme/a/*@refs/heads/main"', 'principal.repository_id == "74"')),
  ],
  [
    'whoever ran it again',
    read('gh', has('principal.repository_id == "74"', 'principal.actor_id == "12"')),
    /actor_id .* proves nothing/,
    read('gh', has('principal.repository_id == "74"', 'principal.run_attempt == "1"')),
  ],
  [
    'a subject that the job chose (Buildkite)',
    read('bk', 'principal.subject == "0191f956-042f-7ec4-aa62-8e5eeae396d0"'),
    /subject .* proves nothing/,
    read('bk', has('principal.cluster_id == "0191f956-042f-7ec4-aa62-8e5eeae396d0"')),
  ],
  [
    'a half-anchored pattern',
    read('gh', `principal.subject like "repo:acme/web*" && ${has('principal.repository_owner_id == "65"')}`),
    /like "repo:acme\/web\*" is half anchored: "web" may go on, as in "web-evil"/,
    read('gh', `principal.subject like "repo:acme/web:*" && ${has('principal.repository_owner_id == "65"')}`),
  ],
  [
    'a half-anchored SPIFFE ID',
    read('prod', 'principal.subject like "spiffe://prod.acme.example/ns/ci*"'),
    /is half anchored: "ci"/,
    read('prod', 'principal.subject like "spiffe://prod.acme.example/ns/ci/*"'),
  ],
  [
    'a pattern without a start',
    read('gh', has('principal.repository_id == "74"', 'principal.ref like "*main"')),
    /is not anchored at its start/,
    read('gh', has('principal.repository_id == "74"', 'principal.ref like "refs/heads/release-*"')),
  ],
]

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
