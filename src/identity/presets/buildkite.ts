// Buildkite (buildkite.com/docs/agent/cli/reference/oidc). Slugs are what every token has and can be renamed; the ids come
// with `buildkite-agent oidc request-token --claim organization_id,pipeline_id` only. `build_number` is a number, `step_key`
// may be null (then absent). `sub` has the commit in it, or is whatever UUID the job asked for with --subject-claim.
import { type Preset, texts, workingDaySeconds } from './preset.js'

export const buildkite: Preset = {
  issuer: 'https://agent.buildkite.com',
  algorithms: ['RS256'],
  attributes: {
    ...texts('organization_slug', 'organization_id', 'pipeline_slug', 'pipeline_id', 'build_id', 'build_branch'),
    ...texts('build_tag', 'build_commit', 'build_source', 'step_key', 'job_id', 'agent_id', 'cluster_id', 'queue_id'),
    ...texts('runner_environment'),
    build_number: { claim: ['build_number'], type: 'number' },
  },
  account: ['organization_slug', 'pipeline_slug'],
  instance: ['organization_slug', 'pipeline_slug', 'build_number'],
  sessionSeconds: workingDaySeconds,
  pitfalls: {
    tenants: { claims: ['organization_id', 'pipeline_id', 'cluster_id', 'organization_slug', 'sub'] },
    names: { organization_slug: ['organization_id', 'pipeline_id'], pipeline_slug: ['pipeline_id', 'organization_id'] },
    refs: ['build_branch', 'build_tag', 'build_commit'],
    untrusted: [
      {
        claim: 'build_source',
        values: ['webhook', 'api'],
        orTested: ['cluster_id', 'queue_id'],
        why: "a fork's pull request may call its branch main, and a build by API or UI names any branch: test a cluster_id or queue_id that only trusted builds reach",
      },
    ],
    incomplete: [
      {
        claim: 'pipeline_slug',
        needs: ['organization_slug', 'organization_id', 'pipeline_id'],
        why: 'every organisation may have a pipeline of this name',
      },
    ],
    hearsay: { sub: 'the job chooses what it is (--subject-claim): test the named claim' },
    pinned: [],
    sharedAudiences: /^https:\/\/buildkite\.com\//,
    vagueIssuers: null,
  },
}
