// Kubernetes projected service account tokens. The claims are nested under the one member "kubernetes.io"; the flat
// "kubernetes.io/serviceaccount/…" of legacy secret tokens give nothing here, and those have no `exp` either.
// Every cluster's default issuer has the same URL: clusters are told apart by keys and audience, never by discovery of it.
import { type Preset, text, workingDaySeconds } from './preset.js'

const nested = (...path: string[]) => text('kubernetes.io', ...path)
const name = 'kubernetes.io/serviceaccount/name'
const uid = 'kubernetes.io/serviceaccount/uid'

export const kubernetes: Preset = {
  issuer: null,
  algorithms: null,
  attributes: {
    kubernetes_namespace: nested('namespace'),
    kubernetes_service_account: nested('serviceaccount', 'name'),
    kubernetes_pod_uid: nested('pod', 'uid'),
  },
  account: ['kubernetes_namespace', 'kubernetes_service_account'],
  instance: ['kubernetes_pod_uid'],
  sessionSeconds: workingDaySeconds,
  pitfalls: {
    tenants: null,
    names: { sub: [uid], [name]: [uid] },
    refs: [],
    untrusted: [],
    incomplete: [
      {
        claim: name,
        needs: ['kubernetes.io/namespace', uid, 'sub'],
        why: 'every namespace may have a service account of this name',
      },
    ],
    hearsay: {},
    pinned: [],
    sharedAudiences: /^https:\/\/kubernetes\.default\.svc/,
    vagueIssuers: {
      pattern: /^https:\/\/kubernetes\.default\.svc/,
      fixedKeysHelp: true,
      why: 'every cluster has this URL by default: tell clusters apart by their keys, with `jwks`',
    },
  },
}
