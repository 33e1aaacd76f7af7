// GitHub Actions (docs.github.com, "OpenID Connect reference"). All of these claims are strings, numbers and flags too.
// Ids are immutable and names are not: a deleted organisation's name can be registered again by somebody else, and `sub`
// has two forms since July 2026. The account is the repository by its id; a new branch makes a new `sub`, not a new account.
import type { AttributeRule } from '../claims.js'
import type { Preset } from './preset.js'

const text = (claim: string): AttributeRule => ({ claim: [claim], type: 'string' })

export const githubActions: Preset = {
  issuer: 'https://token.actions.githubusercontent.com',
  attributes: {
    repository_id: text('repository_id'),
    repository_owner_id: text('repository_owner_id'),
    // GitHub compares names without case and sends them as they are displayed; resource ids are lower case.
    repository: { claim: ['repository'], type: 'string', lowerCase: true },
    ref: text('ref'),
    ref_type: text('ref_type'),
    ref_protected: text('ref_protected'),
    event_name: text('event_name'),
    environment: text('environment'),
    job_workflow_ref: text('job_workflow_ref'),
    runner_environment: text('runner_environment'),
    run_id: text('run_id'),
    run_attempt: text('run_attempt'),
    sha: text('sha'),
    actor_id: text('actor_id'),
  },
  account: ['repository_id'],
  instance: ['repository_id', 'run_id', 'run_attempt'],
}
