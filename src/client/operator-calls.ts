// The calls by which operators stop something: orders over many leases, and locks.
import type { z } from 'zod'
import { type Lock, lock, lockList, type lockRequest } from '../api/locks.js'
import {
  type Revocation,
  type RevocationAnswer,
  revocation,
  revocationAnswer,
  type revocationRequest,
} from '../api/revocations.js'
import type { Caller } from './call.js'

export type OrderRevocation = z.input<typeof revocationRequest>
export type SetLock = z.input<typeof lockRequest>

export interface OperatorCalls {
  createRevocation(order: OrderRevocation): Promise<RevocationAnswer>
  showRevocation(id: string, options?: { cursor?: string; waitSeconds?: number }): Promise<Revocation>
  setLock(order: SetLock): Promise<Lock>
  listLocks(page?: { limit?: string | undefined; cursor?: string | undefined }): Promise<z.infer<typeof lockList>>
  removeLock(id: string): Promise<Lock>
}

export function operatorCalls(call: Caller): OperatorCalls {
  return {
    createRevocation: (order: OrderRevocation) =>
      call({ method: 'POST', path: ['revocations'], expect: revocationAnswer, body: order }),
    showRevocation: (id: string, options: { cursor?: string; waitSeconds?: number } = {}) =>
      call({
        method: 'GET',
        path: ['revocations', id],
        expect: revocation,
        query: { cursor: options.cursor },
        waitSeconds: options.waitSeconds,
      }),
    setLock: (order: SetLock) => call({ method: 'POST', path: ['locks'], expect: lock, body: order }),
    listLocks: (page: { limit?: string | undefined; cursor?: string | undefined } = {}) =>
      call({ method: 'GET', path: ['locks'], expect: lockList, query: page }),
    removeLock: (id: string) => call({ method: 'DELETE', path: ['locks', id], expect: lock }),
  }
}
