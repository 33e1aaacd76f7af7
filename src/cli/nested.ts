// `exec` within `exec`: the inner task stands below the outer one, so that ending the outer ends both (I7).
import { type BrokerClient, ClientError, type Environment } from '../client/index.js'
import type { NamedRequest } from './arguments.js'
import { hasIdentity } from './connection.js'
import { surroundingTask, taskTokenFor } from './env.js'
import { UsageError } from './exit-codes.js'

/** It is used at once: what is left of it afterwards helps nobody. */
const ttlSeconds = 60

/**
 * The delegation that this process gives itself of the task around it, for exactly what is wanted; null where there is no
 * task around it, or where a token was handed to us that stands for one already. Throws UsageError without an identity.
 */
export async function delegateToSelf(
  client: BrokerClient,
  wanted: readonly NamedRequest[],
  environment: Environment,
): Promise<string | null> {
  const { id: outer } = surroundingTask(environment)
  if (outer === undefined || (environment.HALLPASS_DELEGATION_TOKEN ?? '') !== '') return null
  if (!hasIdentity(environment)) {
    throw new UsageError(
      `already inside ${outer}, and nothing here may open a task below it: give the outer exec --keep-identity, or set ` +
        `HALLPASS_DELEGATION_TOKEN (hallpass task delegate ${outer} --agent NAME); --task ${outer} uses that task itself`,
    )
  }
  const { issuer, subject, instance } = await client.whoami()
  const pairs = new Map(
    wanted.map(({ request: { action, resource } }) => [`${action} ${resource}`, { action, resource }]),
  )
  const request = { delegate: { issuer, subject, instance }, ceiling: [...pairs.values()], ttl_seconds: ttlSeconds }
  try {
    return (await client.delegateTask(outer, request, { taskToken: taskTokenFor(outer, environment) })).delegation.id
  } catch (error) {
    throw error instanceof ClientError && error.code === 'not_found' ? notOurs(outer) : error
  }
}

/** The broker does not say which: to it, and to whoever asks, another's task is not there. */
const notOurs = (outer: string) =>
  new UsageError(
    `already inside ${outer}, which this identity cannot delegate: it is another's, or was opened with --dpop and is ` +
      `pinned to that command's key. Hand HALLPASS_DELEGATION_TOKEN to what runs here; --task ${outer} uses that task itself`,
  )
