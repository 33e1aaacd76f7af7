// Azure managed identities and workload identity (learn.microsoft.com, "access token claims reference"). The issuer is a
// tenant's: https://sts.windows.net/<tid>/ (version 1, with the slash) or https://login.microsoftonline.com/<tid>/v2.0; all
// tenants share keys, so `iss` and `tid` are what names the tenant. `oid` is the service principal, immutable in its tenant.
// The client is `appid` in version 1 and `azp` in 2. Tokens do not say which run, and live up to a day.
import { readClaim } from '../claims.js'
import { type Preset, texts } from './preset.js'

export const azure: Preset = {
  issuer: null,
  algorithms: ['RS256'],
  attributes: {
    ...texts('tid', 'oid', 'appid', 'azp', 'idtyp'),
    // The case of `resourcegroups` in it varies.
    xms_mirid: { claim: ['xms_mirid'], type: 'string', lowerCase: true },
    roles: { claim: ['roles'], type: 'set' },
  },
  account: ['tid', 'oid'],
  instance: null,
  // No shorter than a token lives, or one token would begin anew in the middle.
  sessionSeconds: 24 * 3600,
  refuses: (claims) => {
    const kind = readClaim(claims, ['idtyp'])
    const isDelegated = readClaim(claims, ['scp']) !== undefined || (kind !== undefined && kind !== 'app')
    return isDelegated ? 'scp or idtyp says that a person signed in: preset "azure" takes workloads' : null
  },
  pitfalls: {
    tenants: null,
    names: { xms_mirid: ['oid', 'sub'] },
    refs: [],
    untrusted: [],
    incomplete: [],
    hearsay: {},
    pinned: [],
    sharedAudiences:
      /^https:\/\/(management\.(core\.windows|azure)|graph\.microsoft)\.\w+\/?|^https:\/\/vault\.azure\.net/,
    vagueIssuers: {
      pattern: /\/(common|organizations|consumers|\{tenantid\}|%7Btenantid%7D)(\/|$)/i,
      fixedKeysHelp: false,
      why: 'it is no tenant: name yours by its id',
    },
  },
}
