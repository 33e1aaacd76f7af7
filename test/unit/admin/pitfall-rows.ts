// Each pitfall of a permit: a policy that falls in, and one that does not.

export const read = (issuer: string, when: string) =>
  `@id("p") permit (principal in Issuer::"${issuer}", action == Action::"settings.read", resource is Repo)\nwhen { ${when} };\n`
export const deploy = (issuer: string, when: string) => read(issuer, when).replace('settings.read', 'deploy.run')

export const has = (...tests: string[]) =>
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

export const permits: [what: string, warned: string, as: RegExp, quiet: string][] = [
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
