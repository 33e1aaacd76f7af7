// Google Cloud identity tokens (cloud.google.com, "Verifying the identity of instances"). One issuer for all projects and for
// people too. The service account is its numeric `sub`: an e-mail address can be created again. The instance comes with
// format=full only; its id is a string of up to 19 digits, project_number and the creation time are numbers.
import { readClaim } from '../claims.js'
import { type Preset, text, workingDaySeconds } from './preset.js'

const machine = (name: string) => ['google', 'compute_engine', name]
const project = ['project_id', 'project_number'].map((name) => machine(name).join('/'))

export const gcp: Preset = {
  issuer: 'https://accounts.google.com',
  algorithms: ['RS256'],
  attributes: {
    service_account_id: text('sub'),
    email: text('email'),
    email_verified: { claim: ['email_verified'], type: 'boolean' },
    instance_id: text(...machine('instance_id')),
    instance_name: text(...machine('instance_name')),
    project_id: text(...machine('project_id')),
    project_number: { claim: machine('project_number'), type: 'number' },
    zone: text(...machine('zone')),
  },
  account: ['service_account_id'],
  instance: ['instance_id'],
  sessionSeconds: workingDaySeconds,
  // A service account's token names itself as `azp`; a person's names the program that they signed in to.
  refuses: (claims) =>
    readClaim(claims, ['azp']) === readClaim(claims, ['sub'])
      ? null
      : 'azp is not sub: the token is a person\'s, and preset "gcp" takes service accounts',
  pitfalls: {
    tenants: { claims: ['sub', 'email', ...project] },
    names: { email: ['sub'], 'google/compute_engine/instance_name': ['google/compute_engine/instance_id', 'sub'] },
    refs: [],
    untrusted: [],
    incomplete: [
      { claim: 'email', needs: ['email_verified'], why: 'an address counts only when Google has verified it' },
      {
        claim: 'google/compute_engine/instance_name',
        needs: project,
        why: 'every project may have an instance of this name',
      },
    ],
    hearsay: {},
    pinned: [],
    sharedAudiences: null,
    vagueIssuers: null,
  },
}
