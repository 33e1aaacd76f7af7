// GitLab ID tokens (docs.gitlab.com, "id_token_authentication"). Ids and flags are strings ("true"), `runner_id` is a number.
// Paths can be renamed and registered again by others, project_id and namespace_id cannot. `ref` is short: a tag `main` and a
// branch `main` give the same. Which components `sub` has is a setting of the project. One run is one job;
// started again it is another.
import { type Preset, texts, workingDaySeconds } from './preset.js'

const ids = ['project_id', 'namespace_id']

export const gitlab: Preset = {
  issuer: 'https://gitlab.com',
  algorithms: ['RS256'],
  attributes: {
    ...texts(
      'project_id',
      'namespace_id',
      'project_path',
      'namespace_path',
      'user_id',
      'pipeline_id',
      'pipeline_source',
    ),
    ...texts('job_id', 'ref', 'ref_type', 'ref_path', 'ref_protected', 'environment', 'environment_protected'),
    ...texts(
      'deployment_tier',
      'runner_environment',
      'sha',
      'project_visibility',
      'ci_config_ref_uri',
      'ci_config_sha',
    ),
    runner_id: { claim: ['runner_id'], type: 'number' },
  },
  account: ['project_id'],
  instance: ['project_id', 'job_id'],
  sessionSeconds: workingDaySeconds,
  pitfalls: {
    tenants: { claims: [...ids, 'project_path', 'namespace_path', 'sub'] },
    names: { project_path: ids, namespace_path: ['namespace_id', 'project_id'], sub: ids, ci_config_ref_uri: ids },
    refs: ['ref_path', 'ref', 'ref_protected', 'environment', 'sub'],
    untrusted: [
      {
        claim: 'pipeline_source',
        values: ['merge_request_event', 'external_pull_request_event'],
        orTested: ['ref_protected', 'environment_protected'],
        why: "a merge request's pipeline may run a fork's code with the project_id of the parent",
      },
    ],
    incomplete: [
      { claim: 'ref', needs: ['ref_type', 'ref_path'], why: 'a tag and a branch of one name give the same' },
    ],
    hearsay: {
      user_login: 'a login can be renamed, and it is whoever started the pipeline',
      user_email: 'it is whoever started the pipeline, as they wrote it',
    },
    pinned: ['ci_config_ref_uri'],
    sharedAudiences: null,
    vagueIssuers: null,
  },
}
