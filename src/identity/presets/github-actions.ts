// GitHub Actions (docs.github.com, "OpenID Connect reference"). All of these claims are strings, numbers and flags too.
// Ids are immutable and names are not: a deleted organisation's name can be registered again by somebody else, and `sub`
// has two forms since July 2026. The account is the repository by its id; a new branch makes a new `sub`, not a new account.
import { type Preset, text, texts, workingDaySeconds } from './preset.js'

const ids = ['repository_id', 'repository_owner_id']

export const githubActions: Preset = {
  issuer: 'https://token.actions.githubusercontent.com',
  algorithms: ['RS256'],
  attributes: {
    repository_id: text('repository_id'),
    repository_owner_id: text('repository_owner_id'),
    // GitHub compares names without case and sends them as they are displayed; resource ids are lower case.
    repository: { claim: ['repository'], type: 'string', lowerCase: true },
    ...texts('ref', 'ref_type', 'ref_protected', 'event_name', 'environment', 'job_workflow_ref', 'runner_environment'),
    ...texts('run_id', 'run_attempt', 'sha', 'actor_id'),
  },
  account: ['repository_id'],
  instance: ['repository_id', 'run_id', 'run_attempt'],
  sessionSeconds: workingDaySeconds,
  pitfalls: {
    tenants: { claims: [...ids, 'enterprise_id', 'repository', 'repository_owner', 'sub'] },
    names: { repository: ids, repository_owner: ['repository_owner_id'], sub: ids, enterprise: ['enterprise_id'] },
    refs: ['ref', 'environment', 'sub'],
    untrusted: [
      {
        claim: 'event_name',
        values: ['pull_request', 'pull_request_target', 'workflow_run', 'issue_comment'],
        orTested: [],
        why: 'pull_request_target, workflow_run and issue_comment run with the ref of the default branch, and any event may name an environment',
      },
    ],
    incomplete: [
      { claim: 'job_workflow_ref', needs: ids, why: 'it names the reusable workflow and not who called it' },
    ],
    hearsay: {
      actor: 'it may be whoever ran the job again',
      actor_id: 'it may be whoever ran the job again',
      head_ref: 'the author of a pull request chooses it',
      base_ref: 'the author of a pull request chooses it',
    },
    pinned: ['job_workflow_ref'],
    sharedAudiences: /^https:\/\/github\.com\//,
    vagueIssuers: null,
  },
}
