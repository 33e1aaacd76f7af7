// POST /v1/policy/simulate: what would be decided, by the policies in force and by a candidate set. Nothing is reserved,
// minted or counted.
import { z } from 'zod'
import { declaredContext } from './credentials.js'
import * as fields from './fields.js'
import { noLonger } from './policy-change.js'

const name = z.string().min(1).max(256)
const long = z.string().min(1).max(2048)
const count = z.int().min(0).max(1_000_000)
const attribute = z.union([z.string().max(1024), z.int(), z.boolean(), z.array(z.string().max(1024)).max(100)])

/** A whole policy folder by path: its hash is then the one that the same files have on disk. The body's 1 MiB bounds it. */
export const candidatePolicies = z
  .record(
    z
      .string()
      .max(256)
      .regex(
        /^(?!\.)[A-Za-z0-9_. -]+(?:\/(?!\.)[A-Za-z0-9_. -]+)*\.cedar$/,
        'expected a path such as deploy/web.cedar',
      ),
    z.string(),
  )
  .refine((files) => Object.keys(files).length > 0, 'expected at least one file')

const lease = z.strictObject({
  action: fields.actionName,
  resource: fields.resourceId,
  ttl_seconds: fields.ttlSeconds.optional(),
})
const leases = z.strictObject({
  session: z.array(lease).max(100).default([]),
  account: z.array(lease).max(100).default([]),
})

/** One request and the world around it; what is left out is as for the first request of a new task. */
export const simulatedRequest = z.strictObject({
  principal: z.strictObject({
    issuer: name,
    subject: long,
    attributes: z.record(name, attribute).default({}),
    /** `<issuer>:<subject>` unless given. */
    account: long.optional(),
    instance: long.nullable().optional(),
    /** In place of those that the configuration gives. */
    groups: z.array(name).max(100).optional(),
  }),
  action: fields.actionName,
  resource: fields.resourceId,
  ttl_seconds: fields.ttlSeconds.optional(),
  context: declaredContext.default({}),
  binding: z.enum(['none', 'dpop', 'mtls']).default('none'),
  /** Leases whose credential lives. They were granted, too, and what a session has its account has. */
  held: leases.prefault({}),
  /** Leases of before. */
  granted: leases.prefault({}),
  task: z
    .strictObject({
      age_seconds: count.default(0),
      depth: count.default(0),
      active_leases: count.default(0),
      ends_in_seconds: fields.ttlSeconds.default(3600),
    })
    .prefault({}),
  recent_denials: count.default(0),
  /** In place of what follows from `held` and `granted`. */
  escalation: z.boolean().optional(),
  now: fields.timestamp.optional(),
})
export type SimulatedRequest = z.output<typeof simulatedRequest>

/** Decisions in this broker's own audit folder, in pages: each call reads a stretch and says where the next begins. */
export const recordedSpan = z.strictObject({
  from: fields.timestamp.optional(),
  to: fields.timestamp.optional(),
  task: fields.idOf('task').optional(),
  cursor: fields.cursor.optional(),
})
export type RecordedSpan = z.output<typeof recordedSpan>

/** Leases that live now, in pages; groups, grants and resources are the broker's own. */
export const liveSpan = z.strictObject({ cursor: fields.cursor.optional() })

export const simulateRequest = z
  .strictObject({
    request: simulatedRequest.optional(),
    recorded: recordedSpan.optional(),
    live: liveSpan.optional(),
    policies: candidatePolicies.optional(),
  })
  .superRefine(({ request, recorded, live, policies }, context) => {
    if ([request, recorded, live].filter((one) => one !== undefined).length !== 1) {
      context.addIssue({
        code: 'custom',
        path: ['request'],
        message: 'expected exactly one of request, recorded and live',
      })
    } else if (request === undefined && policies === undefined) {
      context.addIssue({ code: 'custom', path: ['policies'], message: 'expected the candidate, file by file' })
    }
  })
export type SimulateRequest = z.output<typeof simulateRequest>

const approvals = z.array(z.object({ group: z.string(), count: z.int() }))

export const simulatedVerdict = z.object({
  effect: z.enum(['permit', 'deny', 'approval_required']),
  policies: z.array(z.string()),
  code: z.enum(['denied', 'binding_required']).nullable(),
  reason: z.string().nullable(),
  ttl_seconds: z.int().nullable(),
  approvals,
  binding: z.enum(['dpop', 'mtls', 'any']).nullable(),
  offer: z.string().nullable(),
})

const difference = z.object({ member: z.string(), before: z.unknown(), after: z.unknown() })
const kind = z.enum(['gain', 'loss', 'change', 'none'])

export const requestSimulation = z.object({
  policy_set: z.string(),
  candidate: z.string().nullable(),
  before: simulatedVerdict,
  /** Null without a candidate. */
  after: simulatedVerdict.nullable(),
  change: kind,
  differences: z.array(difference),
})
export type RequestSimulation = z.infer<typeof requestSimulation>

/** Decisions that change in the same way, of one principal on one action. */
export const simulatedChange = z.object({
  kind: z.enum(['gain', 'loss', 'change']),
  principal: z.string(),
  account: z.string(),
  action: z.string(),
  /** The members that differ. */
  members: z.array(z.string()),
  before: simulatedVerdict,
  after: simulatedVerdict,
  decisions: z.int(),
  /** The first few. */
  examples: z.array(
    z.object({ decision: z.string(), resource: z.string(), task: z.string().nullable(), time: z.string() }),
  ),
})
export type SimulatedChange = z.infer<typeof simulatedChange>

export const recordedSimulation = z.object({
  candidate: z.string(),
  decisions: z.int(),
  gains: z.int(),
  losses: z.int(),
  changes: z.int(),
  unchanged: z.int(),
  /** Records that cannot be decided again: of an earlier version, or altered. */
  skipped: z.int(),
  groups: z.array(simulatedChange),
  /** Decisions that change in ways beyond those listed. */
  not_listed: z.int(),
  next_cursor: z.string().nullable(),
})
export type RecordedSimulation = z.infer<typeof recordedSimulation>

/** Live leases that the candidate would not permit, though what is in force does. A page may be empty, and another follow. */
export const liveSimulation = z.object({
  candidate: z.string(),
  live: z.int(),
  would_end: z.array(noLonger),
  next_cursor: z.string().nullable(),
})
export type LiveSimulation = z.infer<typeof liveSimulation>

export const simulateAnswer = z.union([requestSimulation, recordedSimulation, liveSimulation])
