// AWS outbound identity federation, GetWebIdentityToken (docs.aws.amazon.com, "outbound token claims"). The issuer is an
// account's own. What AWS says is nested under the one member "https://sts.amazonaws.com/", slash included; beside it there,
// `request_tags` are what the caller wrote and are mapped to nothing. The caller chooses the algorithm too. No run is named.
import { type Preset, text, workingDaySeconds } from './preset.js'

const member = 'https://sts.amazonaws.com/'
const said = (...path: string[]) => text(member, ...path)

export const aws: Preset = {
  issuer: null,
  algorithms: ['RS256', 'ES384'],
  attributes: {
    aws_role: text('sub'),
    aws_account: said('aws_account'),
    aws_org_id: said('org_id'),
    aws_ou_path: said('ou_path'),
    aws_region: said('source_region'),
    aws_lambda_function: said('lambda_source_function_arn'),
  },
  account: ['aws_account', 'aws_role'],
  instance: null,
  sessionSeconds: workingDaySeconds,
  pitfalls: {
    tenants: null,
    names: {},
    refs: [],
    untrusted: [],
    incomplete: [],
    hearsay: { [`${member}/request_tags/`]: 'the caller of GetWebIdentityToken writes them: use principal_tags' },
    pinned: [],
    sharedAudiences: null,
    vagueIssuers: null,
  },
}
