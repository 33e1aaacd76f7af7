// Bitbucket Pipelines (support.atlassian.com, "integrate pipelines with resource servers using OIDC"). UUIDs come in braces.
// The issuer is a workspace's, by its slug. `sub` ends in the step and changes with it. A deployment's environment is the only
// thing that a pull request's pipeline cannot have by itself. One run is one pipeline.
import { type Preset, text, workingDaySeconds } from './preset.js'

const environment = 'deploymentEnvironmentUuid'

export const bitbucket: Preset = {
  issuer: null,
  algorithms: ['RS256'],
  attributes: {
    workspace_uuid: text('workspaceUuid'),
    repository_uuid: text('repositoryUuid'),
    pipeline_uuid: text('pipelineUuid'),
    step_uuid: text('stepUuid'),
    deployment_environment_uuid: text(environment),
    branch_name: text('branchName'),
  },
  account: ['workspace_uuid', 'repository_uuid'],
  instance: ['repository_uuid', 'pipeline_uuid'],
  sessionSeconds: workingDaySeconds,
  pitfalls: {
    tenants: null,
    names: {},
    refs: [environment, 'branchName'],
    untrusted: [
      {
        claim: environment,
        values: [],
        orTested: [],
        why: 'pull requests and custom pipelines have a branchName too: only a deployment environment keeps them out',
      },
    ],
    incomplete: [{ claim: 'branchName', needs: ['repositoryUuid'], why: 'every repository may have such a branch' }],
    hearsay: { sub: 'it ends in the step and changes with every run' },
    pinned: [],
    sharedAudiences: /^ari:cloud:bitbucket::workspace\//,
    vagueIssuers: null,
  },
}
