// The calls about leases: seeing them, giving one back, and what an operator does about an end that failed.
import type { z } from 'zod'
import {
  type Lease,
  lease,
  leaseAnswer,
  leaseList,
  type leaseQuery,
  type Receipt,
  releaseAnswer,
} from '../api/leases.js'
import type { Caller, Paged, Query, TaskAuth } from './call.js'

export type LeaseSearch = Paged<z.input<typeof leaseQuery>>

export interface LeaseCalls {
  showLease(leaseId: string, auth?: TaskAuth): Promise<Lease>
  listLeases(search?: LeaseSearch): Promise<z.infer<typeof leaseList>>
  /** Idempotent. The broker waits a few seconds for the receipt by itself; repeat it while the receipt is `pending`. */
  releaseLease(leaseId: string, auth?: TaskAuth): Promise<Receipt>
  retryLease(leaseId: string, reason?: string): Promise<Lease>
  abandonLease(leaseId: string, reason: string): Promise<Lease>
}

export function leaseCalls(call: Caller): LeaseCalls {
  const decide = async (leaseId: string, what: 'retry' | 'abandon', body: object) =>
    (await call({ method: 'POST', path: ['leases', leaseId, what], expect: leaseAnswer, body })).lease
  return {
    showLease: (leaseId: string, auth: TaskAuth = {}) =>
      call({ method: 'GET', path: ['leases', leaseId], expect: lease, taskToken: auth.taskToken }),
    listLeases: (search: LeaseSearch = {}) =>
      call({ method: 'GET', path: ['leases'], expect: leaseList, query: search as Query }),
    releaseLease: async (leaseId: string, auth: TaskAuth = {}) => {
      const answer = await call({
        method: 'DELETE',
        path: ['leases', leaseId],
        expect: releaseAnswer,
        taskToken: auth.taskToken,
      })
      return answer.receipt
    },
    retryLease: (leaseId: string, reason?: string) => decide(leaseId, 'retry', reason === undefined ? {} : { reason }),
    abandonLease: (leaseId: string, reason: string) => decide(leaseId, 'abandon', { reason }),
  }
}
