// The only reader of the environment among the client commands.
import type { Environment } from '../client/index.js'

/** A copy: what a command hands to its child never changes what it reads itself. */
export function readEnvironment(): Environment {
  return { ...process.env }
}

/** The task that this process already runs in, as an outer `exec` has set it. */
export interface SurroundingTask {
  id: string | undefined
  token: string | undefined
}

export function surroundingTask(environment: Environment): SurroundingTask {
  return { id: environment.HALLPASS_TASK || undefined, token: environment.HALLPASS_TASK_TOKEN || undefined }
}

/** The task token where it is `taskId`'s: another task's would only earn a 404. */
export function taskTokenFor(taskId: string, environment: Environment): string | undefined {
  const { id, token } = surroundingTask(environment)
  return id === undefined || id === taskId ? token : undefined
}

const identityVariables =
  /^(ACTIONS_ID_TOKEN_REQUEST_|HALLPASS_TOKEN|HALLPASS_ID_TOKEN$|HALLPASS_DELEGATION_TOKEN$|HALLPASS_(CERT|KEY)$)/

/** Without what proves who we are: a child that has it could ask for anything that we may have. */
export function withoutIdentity(environment: Environment): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !identityVariables.test(name)))
}
