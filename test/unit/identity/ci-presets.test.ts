// Each preset against the claims that its issuer's own documentation, or a real token, shows.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import { issuersConfig } from '../../../src/identity/issuer-config.js'
import { validateIssuers } from '../../../src/identity/issuers.js'
import { presetNames, presets } from '../../../src/identity/presets/known.js'
import { createManualClock, createPool, ourIssuer, readFixture, refusalText } from './identity-fixtures.js'

const clock = createManualClock()
let server: OidcIssuer
beforeAll(async () => {
  server = await startOidcIssuer({ clock, algorithms: ['RS256', 'ES384', 'ES256'] })
})
afterAll(() => server.stop())

type Claims = Record<string, unknown>
interface Row {
  preset: string
  fixture: string
  account: string
  instance: string | null
  attributes: Claims
  /** Claim path → a value of another type, and the attribute that is then absent. */
  wrong: [path: string[], value: unknown, attribute: string]
  /** What makes another run of the same pipeline. */
  nextRun: Claims
  /** A claim without which there is no account. */
  needed: string[]
}

const circle = 'oidc.circleci.com/'
const [org, project, pipeline, workflow] = [
  '11111111-1111-4111-8111',
  '22222222-2222-4222-8222',
  '77777777-7777-4777-8777',
  '88888888-8888-4888-8888',
].map((id) => `${id}-${id.charAt(0).repeat(12)}`)
const uuid = (last: number) => `{c0ffee00-0000-4000-8000-00000000000${last}}`
const awsMember = 'https://sts.amazonaws.com/'

const rows: Row[] = [
  {
    preset: 'gitlab',
    fixture: 'gitlab-id-token',
    account: 'a:20',
    instance: 'a:20/574',
    attributes: {
      ...{ project_id: '20', namespace_id: '72', project_path: 'my-group/my-project', namespace_path: 'my-group' },
      ...{ user_id: '1', pipeline_id: '574', pipeline_source: 'push', job_id: '302', ref: 'feature-branch-1' },
      ...{ ref_type: 'branch', ref_path: 'refs/heads/feature-branch-1', ref_protected: 'false', runner_id: 1 },
      ...{ environment: 'test-environment2', environment_protected: 'false', deployment_tier: 'testing' },
      ...{ runner_environment: 'self-hosted', sha: '714a629c0b401fdce83e847fc9589983fc6f46bc' },
      ...{ project_visibility: 'public', ci_config_sha: '714a629c0b401fdce83e847fc9589983fc6f46bc' },
      ci_config_ref_uri: 'gitlab.example.com/my-group/my-project//.gitlab-ci.yml@refs/heads/main',
    },
    wrong: [['ref_protected'], false, 'ref_protected'],
    nextRun: { pipeline_id: '575' },
    needed: ['project_id'],
  },
  {
    preset: 'buildkite',
    fixture: 'buildkite',
    account: 'a:acme-inc/super-duper-app',
    instance: 'a:acme-inc/super-duper-app/1',
    attributes: {
      ...{ organization_slug: 'acme-inc', pipeline_slug: 'super-duper-app', build_number: 1, build_branch: 'main' },
      ...{ build_tag: 'v1.0.0', build_commit: '9f3182061f1e2cca4702c368cbc039b7dc9d4485', step_key: 'build' },
      ...{ job_id: '0184990a-477b-4fa8-9968-496074483cee', agent_id: '0184990a-4782-42b5-afc1-16715b10b8ff' },
      ...{ build_source: 'ui', runner_environment: 'buildkite-hosted' },
    },
    wrong: [['step_key'], null, 'step_key'],
    nextRun: { build_number: 2 },
    needed: ['organization_slug'],
  },
  {
    preset: 'circleci',
    fixture: 'circleci',
    account: `a:${project}`,
    instance: `a:${project}/${pipeline}/${workflow}`,
    attributes: {
      ...{ org_id: org, project_id: project, pipeline_id: pipeline, workflow_id: workflow, ssh_rerun: false },
      ...{ job_id: '55555555-5555-4555-8555-555555555555', vcs_ref: 'refs/heads/main' },
      pipeline_definition_id: '66666666-6666-4666-8666-666666666666',
      ...{ vcs_origin: 'github.com/organization-123/repo-1', context_ids: ['44444444-4444-4444-8444-444444444444'] },
    },
    wrong: [[`${circle}ssh-rerun`], 'false', 'ssh_rerun'],
    nextRun: { [`${circle}workflow-id`]: 'another' },
    needed: [`${circle}project-id`],
  },
  {
    preset: 'gcp',
    fixture: 'gcp-identity-token',
    account: 'a:110987294251917851298',
    instance: 'a:4340508760561261530',
    attributes: {
      ...{ service_account_id: '110987294251917851298', email_verified: true, instance_id: '4340508760561261530' },
      ...{ email: '716149158341-compute@developer.gserviceaccount.com', instance_name: 'vm-for-gcp' },
      ...{ project_id: 'eng-serenity-231813', project_number: 716149158341, zone: 'us-central1-a' },
    },
    wrong: [['email_verified'], 'true', 'email_verified'],
    nextRun: { google: { compute_engine: { instance_id: '1' } } },
    needed: ['sub'],
  },
  {
    preset: 'azure',
    fixture: 'azure-managed-identity',
    account: 'a:0e3e2e88-8caf-41ca-b4da-e3b33b6c52ec/644d9b8a-b07e-46e8-b81e-bd3a4c997ce9',
    instance: null,
    attributes: {
      ...{ tid: '0e3e2e88-8caf-41ca-b4da-e3b33b6c52ec', oid: '644d9b8a-b07e-46e8-b81e-bd3a4c997ce9' },
      appid: '16f36118-217b-4e7c-9250-69321b4c0742',
      xms_mirid:
        '/subscriptions/28af6932-cb76-431f-ba61-5ec6d1e8b422/resourcegroups/nics-instruqt/providers/microsoft.managedidentity/userassignedidentities/payments',
    },
    wrong: [['appid'], 16, 'appid'],
    nextRun: {},
    needed: ['oid'],
  },
  {
    preset: 'aws',
    fixture: 'aws-outbound-web-identity',
    account: 'a:123456789012/arn:aws:iam::123456789012:role%2FDataProcessingRole',
    instance: null,
    attributes: {
      ...{ aws_role: 'arn:aws:iam::123456789012:role/DataProcessingRole', aws_account: '123456789012' },
      ...{ aws_org_id: 'o-abc1234567', aws_region: 'us-east-1' },
      aws_ou_path: 'o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/ou-ab12-22222222/',
      aws_lambda_function: 'arn:aws:lambda:us-east-1:123456789012:function:process-data',
    },
    wrong: [[awsMember, 'source_region'], ['us-east-1'], 'aws_region'],
    nextRun: {},
    needed: [awsMember],
  },
  {
    preset: 'hcp-terraform',
    fixture: 'terraform-cloud',
    account: 'a:org-GRNbCjYNpBB6NEH9/ws-mbsd5E3Ktt5Rg2Xm',
    instance: 'a:ws-mbsd5E3Ktt5Rg2Xm/run-X3n1AUXNGWbfECsJ/apply',
    attributes: {
      ...{ terraform_organization_id: 'org-GRNbCjYNpBB6NEH9', terraform_organization_name: 'my-example-organization' },
      ...{ terraform_project_id: 'prj-vegSA59s1XPwMr2t', terraform_project_name: 'Default Project' },
      ...{ terraform_workspace_id: 'ws-mbsd5E3Ktt5Rg2Xm', terraform_workspace_name: 'my-example-workspace' },
      ...{ terraform_run_id: 'run-X3n1AUXNGWbfECsJ', terraform_run_phase: 'apply' },
    },
    wrong: [['terraform_project_name'], 7, 'terraform_project_name'],
    nextRun: { terraform_run_id: 'run-2' },
    needed: ['terraform_workspace_id'],
  },
  {
    preset: 'bitbucket',
    fixture: 'bitbucket-pipelines',
    account: `a:${uuid(4)}/${uuid(1)}`,
    instance: `a:${uuid(1)}/${uuid(5)}`,
    attributes: {
      ...{ workspace_uuid: uuid(4), repository_uuid: uuid(1), pipeline_uuid: uuid(5), step_uuid: uuid(3) },
      ...{ deployment_environment_uuid: uuid(2), branch_name: 'main' },
    },
    wrong: [['branchName'], ['main'], 'branch_name'],
    nextRun: { pipelineUuid: uuid(6) },
    needed: ['repositoryUuid'],
  },
]

const fixtureOf = (name: string) => JSON.parse(readFixture(`claims/${name}.json`))
const variantOf = (fixture: string, name: string): Claims =>
  fixtureOf(fixture).variants.find((one: { name: string }) => one.name.startsWith(name)).claims

/** A real issuer's claims, signed by the stand-in for us and now. */
function signReal(claims: Claims, over: Claims = {}, header: object = { alg: 'RS256' }): Promise<string> {
  const { iss: _iss, iat: _iat, exp: _exp, nbf: _nbf, ...rest } = claims
  return server.sign({ ...rest, aud: ourIssuer, ...over }, header)
}

const pool = (preset: string, extra: object = {}) =>
  createPool({ a: { type: 'oidc', preset, issuer: server.issuer, ...extra } }, { clock })

function changed(claims: Claims, [name = '', ...rest]: string[], value: unknown): Claims {
  return { ...claims, [name]: rest.length === 0 ? value : changed(claims[name] as Claims, rest, value) }
}

describe.each(rows)('the preset $preset', (row) => {
  const { claims } = fixtureOf(row.fixture)

  test('gives exactly these attributes, account and instance', async () => {
    const principal = await pool(row.preset).authenticate(await signReal(claims))
    expect(principal).toMatchObject({ id: `a:${claims.sub}`, account: row.account, instance: row.instance })
    expect(principal.attributes).toEqual(row.attributes)
  })

  test('leaves out a claim of another type, and converts none', async () => {
    const [path, value, attribute] = row.wrong
    const { attributes } = await pool(row.preset).authenticate(await signReal(changed(claims, path, value)))
    const { [attribute]: _gone, ...left } = row.attributes
    expect(attributes).toEqual(left)
  })

  test('sees another run of the same pipeline as another instance of the same account', async () => {
    const again = await pool(row.preset).authenticate(await signReal(claims, row.nextRun))
    expect(again.account).toBe(row.account)
    if (row.instance === null) expect(again.instance).toBeNull()
    else expect(again.instance).not.toBe(row.instance)
  })

  test('refuses a token without what makes its account', async () => {
    const token = await signReal(changed(claims, row.needed, undefined))
    expect(await refusalText(() => pool(row.preset).authenticate(token), token)).toMatch(/^invalid_token .*(no "|azp)/)
  })

  test('takes only the algorithms that its issuer signs with, unless told', async () => {
    const token = await signReal(claims, {}, { alg: 'ES256' })
    expect(await refusalText(() => pool(row.preset).authenticate(token), token)).toMatch(/alg "ES256" is not allowed/)
    const told = await pool(row.preset, { algorithms: ['ES256'] }).authenticate(token)
    expect(told.account).toBe(row.account)
  })
})

test('a real token of gitlab.com is its project’s', async () => {
  const principal = await pool('gitlab').authenticate(await signReal(fixtureOf('gitlab-real-token').claims))
  expect(principal).toMatchObject({ account: 'a:76366029', instance: 'a:76366029/2179265456' })
})

test('Google: people are refused, a token without instance too unless `instance: []`', async () => {
  const person = await signReal(variantOf('gcp-identity-token', 'human'))
  expect(await refusalText(() => pool('gcp').authenticate(person), person)).toMatch(/token is a person's/)
  const standard = await signReal(variantOf('gcp-identity-token', 'standard'))
  expect(await refusalText(() => pool('gcp').authenticate(standard), standard)).toMatch(/gives no "instance_id"/)
  expect(await pool('gcp', { instance: [] }).authenticate(standard)).toMatchObject({ instance: null })
})

test('Azure: a token of a person in the same tenant is refused; both forms of issuer are workloads', async () => {
  const delegated = variantOf('azure-managed-identity', 'delegated')
  for (const over of [{}, { scp: undefined }, { idtyp: undefined }]) {
    const token = await signReal(delegated, over)
    expect(await refusalText(() => pool('azure').authenticate(token), token)).toMatch(/a person signed in/)
  }
  const second = await pool('azure').authenticate(await signReal(variantOf('azure-managed-identity', 'v2')))
  expect(second).toMatchObject({ sessionSeconds: 86_400, attributes: { oid: '33333333-4444-5555-6666-777777777777' } })
})

test('AWS: what the caller wrote into request_tags becomes nothing', async () => {
  const { attributes } = await pool('aws').authenticate(
    await signReal(variantOf('aws-outbound-web-identity', 'attack'), {}, { alg: 'ES384' }),
  )
  expect(JSON.stringify(attributes)).not.toMatch(/production|admin/)
})

test('HCP Terraform: the plan of a run is another instance than its apply', async () => {
  const plan = await pool('hcp-terraform').authenticate(await signReal(variantOf('terraform-cloud', 'plan')))
  expect(plan.instance).toBe('a:ws-mbsd5E3Ktt5Rg2Xm/run-X3n1AUXNGWbfECsJ/plan')
})

test('CircleCI: a fork has the account of its base, and another vcs_origin', async () => {
  const fork = await pool('circleci').authenticate(await signReal(variantOf('circleci', 'fork')))
  expect(fork).toMatchObject({ account: `a:${project}`, attributes: { vcs_origin: 'github.com/attacker/repo-1' } })
})

describe('require', () => {
  const { claims } = fixtureOf('gitlab-id-token')
  test.each<[string, object, boolean]>([
    ['the same string', { project_id: '20' }, true],
    ['one of several', { project_id: ['19', '20'] }, true],
    ['a longer string', { project_id: '200' }, false],
    ['another case', { ref_type: 'Branch' }, false],
    ['the same number', { runner_id: 1 }, true],
    ['a claim that objects inherit', { toString: 'x' }, false],
  ])('%s', async (_what, require, isTaken) => {
    const token = await signReal(claims)
    const { authenticate } = pool('gitlab', { require })
    if (isTaken) expect(await authenticate(token)).toMatchObject({ account: 'a:20' })
    else expect(await refusalText(() => authenticate(token), token)).toMatch(/"require" does not allow/)
  })

  test.each([
    ['1', 1],
    ['true', true],
    ['false', false],
    ['0', 0],
    ['', null],
    ['null', null],
  ])('the text %j and the value %j are not the same', async (written, value) => {
    const plain = { type: 'oidc', issuer: server.issuer }
    const create = (require: unknown) => createPool({ a: { ...plain, require: { claim: require } } }, { clock })
    const typed = await signReal({ sub: 'x', claim: value })
    const textual = await signReal({ sub: 'x', claim: written })
    expect(await refusalText(() => create(written).authenticate(typed), typed)).toMatch(/does not allow/)
    if (value === null) return
    expect(await refusalText(() => create(value).authenticate(textual), textual)).toMatch(/does not allow/)
    expect(await create(value).authenticate(typed)).toMatchObject({ subject: 'x' })
  })
})

test('all presets can stand beside each other: no attribute has two types', () => {
  const section = Object.fromEntries(
    presetNames.map((preset) => [preset, { type: 'oidc', preset, issuer: `https://${preset}.example` }]),
  )
  expect(validateIssuers(issuersConfig.parse(section), ourIssuer)).toEqual([])
  for (const { account, instance, attributes, sessionSeconds } of Object.values(presets)) {
    for (const name of [...account, ...(instance ?? [])]) expect(Object.keys(attributes)).toContain(name)
    expect(sessionSeconds).toBeGreaterThan(0)
  }
})
