// POST /v1/tasks/:id/delegations: a part of what a task may do, for one child task of a named delegate.
import { z } from 'zod'
import * as fields from './fields.js'

const name = z.string().min(1).max(2048)

/** Who opens the child task, as its own issuer vouches. Without `instance` any one run of it may. */
const delegate = z.strictObject({
  issuer: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/, "expected an issuer's name in the configuration")
    .max(128),
  subject: name,
  instance: name.nullable().optional(),
})

/** Exact actions on exact resources: a pattern would hand on what nobody has looked at. */
const pair = z.strictObject({ action: fields.actionName, resource: fields.resourceId })

export const delegationRequest = z
  .strictObject({
    delegate: delegate.optional(),
    /** The name of a sub-agent without an identity of its own, for the audit and the chain. */
    agent: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'expected a name of letters, digits, dots, dashes or underscores')
      .optional(),
    ceiling: z.array(pair).min(1).max(50),
    /** Until when it may be used; for an agent, until when its token is good. */
    ttl_seconds: z.int().min(1).max(900),
  })
  .refine(({ delegate, agent }) => (delegate === undefined) !== (agent === undefined), {
    error: 'expected either a delegate or an agent',
    path: ['delegate'],
  })
export type DelegationRequest = z.infer<typeof delegationRequest>

/** `delegation_token`: the agent's, shown once. */
export const delegationAnswer = z.object({
  delegation: z.object({ id: z.string(), expires_at: fields.timestamp }),
  delegation_token: z.string().optional(),
})
export type DelegationAnswer = z.infer<typeof delegationAnswer>
