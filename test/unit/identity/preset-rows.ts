// What each preset makes of the claims that its issuer's own documentation shows.

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

export const rows: Row[] = [
  {
    preset: 'gitlab',
    fixture: 'gitlab-id-token',
    account: 'a:20',
    instance: 'a:20/302',
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
    nextRun: { job_id: '303' },
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

export { project }
