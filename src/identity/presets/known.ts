// Every preset by the name that a configuration uses.
import { aws } from './aws.js'
import { azure } from './azure.js'
import { bitbucket } from './bitbucket.js'
import { buildkite } from './buildkite.js'
import { circleci } from './circleci.js'
import { gcp } from './gcp.js'
import { githubActions } from './github-actions.js'
import { gitlab } from './gitlab.js'
import { hcpTerraform } from './hcp-terraform.js'
import { kubernetes } from './kubernetes.js'
import type { Preset } from './preset.js'

export const presetNames = [
  'github-actions',
  'gitlab',
  'buildkite',
  'circleci',
  'kubernetes',
  'gcp',
  'azure',
  'aws',
  'hcp-terraform',
  'bitbucket',
] as const

export const presets: Readonly<Record<(typeof presetNames)[number], Preset>> = {
  'github-actions': githubActions,
  gitlab,
  buildkite,
  circleci,
  kubernetes,
  gcp,
  azure,
  aws,
  'hcp-terraform': hcpTerraform,
  bitbucket,
}
