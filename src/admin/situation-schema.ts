// A situation to decide in, as people write it: in policy tests and on the command line. Everything may be left out here,
// since a test file's defaults may give it; what has to be there in the end, situation.ts says.
import { z } from 'zod'
import { duration } from '../core/settings.js'

const attributeValue = z.union([z.string().max(1024), z.int(), z.boolean(), z.array(z.string().max(1024))])
const name = z.string().min(1).max(256)

const principal = z.strictObject({
  /** The issuer's name in the configuration. */
  issuer: name.optional(),
  subject: z.string().min(1).max(2048).optional(),
  account: z.string().min(1).max(2048).optional(),
  instance: z.string().min(1).max(2048).optional(),
  attributes: z.record(z.string(), attributeValue).optional(),
  /** In place of those that the configuration gives. */
  groups: z.array(name).optional(),
})

const request = z.strictObject({
  action: name.optional(),
  resource: name.optional(),
  ttl: duration.optional(),
  context: z.record(z.string(), z.union([z.string(), z.int(), z.boolean()])).optional(),
})

const lease = z.strictObject({ action: name, resource: name, ttl: duration.optional() })
const holders = z.strictObject({ session: z.array(lease).optional(), account: z.array(lease).optional() })

const count = z.int().min(0).max(1_000_000)
const task = z.strictObject({
  depth: count.optional(),
  age: duration.optional(),
  active: count.optional(),
  /** What is left until its deadline. */
  ends_in: duration.optional(),
})

/** Of the caller, and of everybody above it. */
const standing = {
  principal: principal.optional(),
  /** Leases whose credential lives: they were granted, too, and what a session has its account has. */
  held: holders.optional(),
  /** Leases of before. */
  granted: holders.optional(),
  binding: z.enum(['none', 'dpop', 'mtls']).optional(),
  recent_denials: count.optional(),
  /** In place of what follows from `held` and `granted`. */
  escalation: z.boolean().optional(),
}

const ancestor = z.strictObject({
  ...standing,
  /** What it handed on to the task below it; left out: all that it may. */
  ceiling: z.array(z.strictObject({ action: name, resource: name })).optional(),
})

export const situationMembers = {
  ...standing,
  request: request.optional(),
  task: task.optional(),
  /** Who stands above, from the parent up to the root. */
  above: z.array(ancestor).max(20).optional(),
  /** What people agreed to, for this request. */
  approval: z.strictObject({ group: name, approvers: z.array(name) }).optional(),
  now: z.iso.datetime({ message: 'expected a time such as 2031-05-06T07:08:09Z' }).optional(),
}

const situation = z.strictObject(situationMembers)
export type WrittenSituation = z.output<typeof situation>
export type WrittenAncestor = z.output<typeof ancestor>
export type WrittenLease = z.output<typeof lease>

export const testDefaults = situation

const approval = z.string().regex(/^[a-z][a-z0-9_-]*:[1-9][0-9]?$/, 'expected group:count such as dba:2')

const expectation = z.strictObject({
  /** `refused`: the request does not get as far as a decision; `code` says why. */
  effect: z.enum(['permit', 'deny', 'approval_required', 'refused']),
  /** The determining policies, in any order; exactly these. */
  policies: z.array(name).optional(),
  /** The permit whose offer is taken. */
  offer: name.optional(),
  ttl: duration.optional(),
  approval: z.union([approval, z.array(approval)]).optional(),
  reason: z.enum(['no_permit', 'forbidden', 'outside_ceiling', 'policy_error', 'lifetime']).optional(),
  code: z.enum(['denied', 'binding_required', 'approval_required', 'invalid_request']).optional(),
})
export type Expectation = z.output<typeof expectation>

export const testCase = z.strictObject({ name: z.string().min(1).max(200), ...situationMembers, expect: expectation })
export const testFile = z.strictObject({
  defaults: testDefaults.optional(),
  cases: z.array(testCase).min(1, 'expected at least one case'),
})
