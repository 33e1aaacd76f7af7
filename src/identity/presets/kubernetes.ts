// Kubernetes projected service account tokens. The claims are nested under the one member "kubernetes.io"; the flat
// "kubernetes.io/serviceaccount/…" of legacy secret tokens give nothing here, and those have no `exp` either.
// Every cluster's default issuer has the same URL: clusters are told apart by keys and audience, never by discovery of it.
import type { AttributeRule } from '../claims.js'
import type { Preset } from './preset.js'

const nested = (...path: string[]): AttributeRule => ({ claim: ['kubernetes.io', ...path], type: 'string' })

export const kubernetes: Preset = {
  issuer: null,
  attributes: {
    kubernetes_namespace: nested('namespace'),
    kubernetes_service_account: nested('serviceaccount', 'name'),
    kubernetes_pod_uid: nested('pod', 'uid'),
  },
  account: ['kubernetes_namespace', 'kubernetes_service_account'],
  instance: ['kubernetes_pod_uid'],
}
