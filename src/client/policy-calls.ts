// The calls about a change of rules: what waits, the word for it, and what a candidate would end.
import type { z } from 'zod'
import {
  type applyRequest,
  type PendingList,
  type PolicyChange,
  pendingList,
  policyChange,
} from '../api/policy-change.js'
import { type LiveSimulation, liveSimulation, type RecordedSimulation, recordedSimulation } from '../api/simulate.js'

export type ApplyPolicyChange = z.input<typeof applyRequest>

export interface PolicyCalls {
  /** How far changed rules have reached live leases, with a page of those that wait to end. */
  pendingChange(page?: { cursor?: string }): Promise<PendingList>
  applyPolicyChange(word: ApplyPolicyChange): Promise<PolicyChange>
  /** A page of the live leases that would end by these policies, given by path. */
  simulateLive(candidate: { policies: Readonly<Record<string, string>>; cursor?: string }): Promise<LiveSimulation>
  /** A page of the broker's recorded decisions since then, made again by these policies. */
  simulateRecorded(candidate: {
    policies: Readonly<Record<string, string>>
    from: string
    cursor?: string
  }): Promise<RecordedSimulation>
}

type Call = <Schema extends z.ZodType>(wanted: {
  method: 'GET' | 'POST'
  path: readonly string[]
  expect: Schema
  query?: Record<string, string | undefined>
  body?: unknown
}) => Promise<z.infer<Schema>>

export function policyCalls(call: Call): PolicyCalls {
  return {
    pendingChange: ({ cursor } = {}) =>
      call({ method: 'GET', path: ['policy', 'pending'], expect: pendingList, query: { cursor } }),
    applyPolicyChange: (word) => call({ method: 'POST', path: ['policy', 'apply'], expect: policyChange, body: word }),
    simulateLive: ({ policies, cursor }) =>
      call({
        method: 'POST',
        path: ['policy', 'simulate'],
        expect: liveSimulation,
        body: { live: cursor === undefined ? {} : { cursor }, policies },
      }),
    simulateRecorded: ({ policies, from, cursor }) =>
      call({
        method: 'POST',
        path: ['policy', 'simulate'],
        expect: recordedSimulation,
        body: { recorded: { from, ...(cursor === undefined ? {} : { cursor }) }, policies },
      }),
  }
}
