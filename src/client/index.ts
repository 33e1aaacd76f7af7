// The publishable SDK: everything a program needs to ask a broker for credentials and to give them back.
export type { Approval, ApprovalList, ApprovalState } from '../api/approvals.js'
export type { AuditEntry, AuditList, Timeline } from '../api/audit.js'
export type { Credential, CredentialAnswer } from '../api/credentials.js'
export type { DelegationAnswer } from '../api/delegations.js'
export type { Grant, GrantList } from '../api/grants.js'
export type { Lease, Receipt } from '../api/leases.js'
export type { Lock } from '../api/locks.js'
export type { NoLongerPermitted } from '../api/policy-change.js'
export type { Revocation } from '../api/revocations.js'
export type { LiveSimulation, RecordedSimulation } from '../api/simulate.js'
export type { OpenTaskAnswer, Task } from '../api/tasks.js'
export type { WhoAmI } from '../api/whoami.js'
export type { ApprovalCalls, ApprovalFilter, Asked, AskedTask } from './approval-calls.js'
export * from './broker-client.js'
export * from './broker-metadata.js'
export type { MintOptions, OpenTask, RequestCredential, TaskAuth } from './call.js'
export {
  type ClientCertificate,
  type ClientCertificateSource,
  clientCertificateFrom,
} from './client-certificate.js'
export * from './client-error.js'
export { createDpopKey, type DpopKey } from './dpop.js'
export * from './subject-token-source.js'
export type { AuditSearch, TimelineCalls, ToolCalls } from './timeline-calls.js'
export type { WaitOptions } from './wait-for-approval.js'
