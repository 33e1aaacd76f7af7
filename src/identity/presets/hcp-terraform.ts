// HCP Terraform workload identity (developer.hashicorp.com, "workload identity tokens"). All names can be renamed and project
// names hold spaces; ids cannot. A plan runs for unreviewed pull requests too, so plan and apply of one run are two instances.
import { type Preset, texts, workingDaySeconds } from './preset.js'

const workspace = 'terraform_workspace_id'
const organization = 'terraform_organization_id'
const project = 'terraform_project_id'
const ids = [workspace, organization, project]

export const hcpTerraform: Preset = {
  issuer: 'https://app.terraform.io',
  algorithms: ['RS256'],
  attributes: {
    ...texts(organization, 'terraform_organization_name', project, 'terraform_project_name'),
    ...texts(workspace, 'terraform_workspace_name', 'terraform_run_id', 'terraform_run_phase'),
  },
  account: [organization, workspace],
  instance: [workspace, 'terraform_run_id', 'terraform_run_phase'],
  sessionSeconds: workingDaySeconds,
  pitfalls: {
    tenants: { claims: [...ids, 'terraform_organization_name', 'terraform_full_workspace', 'sub'] },
    names: {
      terraform_organization_name: [organization, workspace],
      terraform_project_name: ids,
      terraform_workspace_name: [workspace, organization],
      terraform_full_workspace: [workspace, organization],
      sub: [workspace, organization],
    },
    refs: [],
    untrusted: [
      {
        claim: 'terraform_run_phase',
        values: ['plan'],
        orTested: [],
        why: 'a plan runs for unreviewed pull requests',
      },
    ],
    incomplete: [
      {
        claim: 'terraform_workspace_name',
        needs: [organization, workspace, 'terraform_organization_name'],
        why: 'every organisation may have a workspace of this name',
      },
    ],
    hearsay: {},
    pinned: [],
    sharedAudiences: null,
    vagueIssuers: null,
  },
}
