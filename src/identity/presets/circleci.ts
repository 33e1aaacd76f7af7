// CircleCI (circleci.com/docs/guides/permissions-authentication/openid-connect-tokens). Claim names hold dots and slashes.
// The issuer is an organisation's; with --root-issuer it is everybody's. A fork's build carries the base project's ids, so
// only vcs-origin tells it. Custom webhooks give no vcs claims. One run is one workflow: a rerun is another.
import { type Preset, text, workingDaySeconds } from './preset.js'

const prefix = 'oidc.circleci.com/'
const own = (name: string) => text(prefix + name)

export const circleci: Preset = {
  issuer: null,
  algorithms: ['RS256'],
  attributes: {
    org_id: own('org-id'),
    project_id: own('project-id'),
    pipeline_id: own('pipeline-id'),
    pipeline_definition_id: own('pipeline-definition-id'),
    workflow_id: own('workflow-id'),
    job_id: own('job-id'),
    vcs_origin: own('vcs-origin'),
    vcs_ref: own('vcs-ref'),
    context_ids: { claim: [`${prefix}context-ids`], type: 'set' },
    ssh_rerun: { claim: [`${prefix}ssh-rerun`], type: 'boolean' },
  },
  account: ['project_id'],
  instance: ['project_id', 'pipeline_id', 'workflow_id'],
  sessionSeconds: workingDaySeconds,
  pitfalls: {
    tenants: {
      claims: ['org-id', 'project-id', 'pipeline-definition-id'].map((name) => prefix + name),
      onlyAt: 'https://oidc.circleci.com',
    },
    names: { [`${prefix}vcs-origin`]: ['org-id', 'project-id', 'pipeline-definition-id'].map((name) => prefix + name) },
    refs: [`${prefix}vcs-ref`, `${prefix}context-ids`],
    untrusted: [
      {
        claim: `${prefix}vcs-origin`,
        values: [],
        orTested: [],
        why: "a fork's build has the ids of the base project: only vcs-origin tells it apart",
      },
      { claim: `${prefix}ssh-rerun`, values: [true], orTested: [], why: 'a person with SSH is inside such a job' },
    ],
    incomplete: [
      {
        claim: `${prefix}vcs-ref`,
        needs: ['project-id', 'vcs-origin', 'pipeline-definition-id'].map((name) => prefix + name),
        why: 'every project has such a branch',
      },
    ],
    hearsay: { sub: 'it ends in the person who pushed, and changes with them' },
    pinned: [],
    // The default is the organisation's id, which every service that takes its tokens takes.
    sharedAudiences: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
    vagueIssuers: null,
  },
}
