// The `aws_sts` section of the configuration. Keys and defaults are the contract of hallpass.example.yaml.
import { z } from 'zod'
import { durationWithin, httpsUrl } from '../core/settings.js'

/** A role's ARN in any partition: partition, account, path with role name. */
const roleArnPattern = /^arn:(aws[a-z-]*):iam::([0-9]{12}):role\/([\w+=,.@/-]{1,512})$/

const denyPolicy = z.strictObject({
  method: z.literal('deny_policy'),
  /** forced: only an operator's revocation writes the role; everything else ends at its deadline. */
  when: z.enum(['always', 'forced']).default('always'),
  /** How long revocations of one role are collected into one write. */
  batch: durationWithin(0, 3600, 'at most 1h').default(2),
  /** With less than this left, the deadline is waited for: the write would hardly spread in time. */
  min_remaining: durationWithin(0, 43_200, 'at most 12h').default(60),
  /** How long AWS may need until a written policy holds everywhere. */
  propagation: durationWithin(0, 3600, 'at most 1h').default(10),
  /** The role that writes the deny policies. Needed with default_chain only where that identity may not do it itself. */
  role: z.string().regex(roleArnPattern, 'expected the ARN of an IAM role').optional(),
  policy_name: z
    .string()
    .regex(/^[\w+=,.@-]{1,128}$/, 'expected the name of an inline policy')
    .default('hallpass-deny'),
  /** Characters of a role's 10,240 that its other inline policies use. `doctor` compares it with the truth. */
  other_policies: z.int().min(0).max(9_000).default(2_048),
})

export const awsStsConfig = z.strictObject({
  type: z.literal('aws_sts'),
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$/, 'expected an AWS region such as eu-west-1'),
  auth: z.enum(['web_identity', 'default_chain']),
  early_revocation: z.union([z.literal('none'), denyPolicy]).default('none'),
  /** STS and IAM elsewhere; loopback may be http. */
  endpoint: httpsUrl.optional(),
  timeout: durationWithin(1, 60, '1s to 60s').default(5),
  concurrency: z.int().min(1).max(1_000).default(16),
})

export type AwsStsConfig = z.infer<typeof awsStsConfig>
export type DenyPolicyConfig = z.infer<typeof denyPolicy>

/** The settings of early revocation, or null where credentials only end at their deadline. */
export function denyPolicyOf(config: AwsStsConfig): DenyPolicyConfig | null {
  return config.early_revocation === 'none' ? null : config.early_revocation
}

export interface RoleName {
  readonly arn: string
  readonly partition: string
  readonly account: string
  /** Without its path, as IAM's calls take it. */
  readonly name: string
}

/** Takes a role's ARN apart, or undefined where it is none. */
export function parseRoleArn(text: string): RoleName | undefined {
  const match = roleArnPattern.exec(text)
  const name = match?.[3]?.split('/').at(-1)
  if (match?.[1] === undefined || match[2] === undefined || !name || !/^[\w+=,.@-]{1,64}$/.test(name)) return undefined
  return { arn: text, partition: match[1], account: match[2], name }
}
