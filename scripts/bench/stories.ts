// What one connection of the load does over and over: the same program for Hallpass, the bare floor and Vault.
import type { HttpConnection, Reply } from './connection.js'

export type StoryName = 'exchange' | 'issue and release' | 'complete' | 'floor' | 'vault login and revoke'

/** One turn; returns the milliseconds that count. Throws on any answer but the expected one. */
export type Turn = () => Promise<number>

/** Prepares one connection with a token of its own; what it does before the first turn is not measured. */
export type Story = (connection: HttpConnection, token: string) => Promise<Turn>

export const actionAndResource = { action: 'report.read', resource: 'repo:acme/web' }
const credentialRequest = JSON.stringify({ ...actionAndResource, ttl_seconds: 3600 })

export const stories: Record<StoryName, Story> = {
  async exchange(connection, token) {
    const authorization = bearer(token)
    const path = `/v1/tasks/${await openTask(connection, token)}/credentials`
    return () =>
      timed(async () => void expected(await connection.request('POST', path, authorization, credentialRequest), 201))
  },

  async 'issue and release'(connection, token) {
    const authorization = bearer(token)
    const path = `/v1/tasks/${await openTask(connection, token)}/credentials`
    return () =>
      timed(async () => {
        const issued = expected(await connection.request('POST', path, authorization, credentialRequest), 201)
        const { lease } = JSON.parse(issued.body) as { lease: { id: string } }
        checkConfirmed(expected(await connection.request('DELETE', `/v1/leases/${lease.id}`, authorization), 200).body)
      })
  },

  /** A task with one credential; what counts is from `complete` to the receipt that says its probe saw it dead. */
  async complete(connection, token) {
    const authorization = bearer(token)
    return async () => {
      const task = await openTask(connection, token, [{ ...actionAndResource, ttl_seconds: 600 }])
      const path = `/v1/tasks/${task}/complete?wait_seconds=10`
      return timed(async () =>
        checkConfirmed(expected(await connection.request('POST', path, authorization, '{}'), 200).body),
      )
    }
  },

  async floor(connection, token) {
    const authorization = bearer(token)
    return () =>
      timed(async () => void expected(await connection.request('POST', '/', authorization, credentialRequest), 201))
  },

  async 'vault login and revoke'(connection, token) {
    const login = JSON.stringify({ role: 'bench', jwt: token })
    return () =>
      timed(async () => {
        const answer = expected(await connection.request('POST', '/v1/auth/jwt/login', [], login), 200)
        const { auth } = JSON.parse(answer.body) as { auth: { client_token: string } }
        const own = [`x-vault-token: ${auth.client_token}`]
        expected(await connection.request('POST', '/v1/auth/token/revoke-self', own, '{}'), 204)
      })
  },
}

export const bearer = (token: string) => [`authorization: Bearer ${token}`]

export async function openTask(
  connection: HttpConnection,
  token: string,
  credentials?: readonly object[],
): Promise<string> {
  const body = JSON.stringify({ purpose: 'a bench', ttl_seconds: 7200, ...(credentials ? { credentials } : {}) })
  const opened = expected(await connection.request('POST', '/v1/tasks', bearer(token), body), 201)
  return (JSON.parse(opened.body) as { task: { id: string } }).task.id
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** An answer of a machine that stood still for a moment: no turn, and no reason to give the whole bench up. */
export class NoTurn extends Error {}

export function expected(reply: Reply, status: number): Reply {
  if (reply.status === 503) throw new NoTurn(`expected ${status}, got 503: ${reply.body}`)
  if (reply.status !== status) throw new Error(`expected ${status}, got ${reply.status}: ${reply.body}`)
  return reply
}

/** A release or a completion counts only when its receipt says confirmed. */
export function checkConfirmed(body: string): void {
  const { receipt, receipts } = JSON.parse(body) as { receipt?: { outcome: string }; receipts?: { outcome: string }[] }
  const outcomes = [receipt ?? [], receipts ?? []].flat().map((one) => one.outcome)
  if (outcomes.length === 1 && outcomes[0] === 'pending') throw new NoTurn(`not confirmed yet: ${body}`)
  if (outcomes.length !== 1 || outcomes[0] !== 'confirmed') throw new Error(`expected one confirmed receipt: ${body}`)
}
