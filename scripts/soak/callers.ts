// The load: workloads that open tasks, ask, release, complete or walk away, and an operator with bulk orders. Every refusal is
// taken as it comes; what must never be answered is written down at once.
import { randomUUID } from 'node:crypto'
import { type Answer, type CallOptions, call } from '../demo/http-call.js'
import { type Book, countOne } from './book.js'
import type { Ground } from './ground.js'
import type { Mortal } from './programs.js'
import { createRandom, pause, pauseUnless, type Random } from './random.js'
import { awsRoles } from './settings.js'

export interface Asked {
  readonly action: string
  readonly resource: string
}

const tokens: Asked = { action: 'report.read', resource: 'repo:acme/web' }
const offline: Asked = { action: 'offline.read', resource: 'repo:acme/web' }
const vault: Asked = { action: 'config.read', resource: 'database:orders' }
export const secret: Asked = { action: 'database.query', resource: 'database:orders' }
const aws = awsRoles.map((role): Asked => ({ action: `${role}.read`, resource: 'bucket:reports' }))
const awsAt = (random: Random) => aws[Math.floor(random.next() * aws.length)] ?? tokens
const isAws = ({ action }: Asked) => action.startsWith('soak_')

export interface Workload {
  readonly account: string
  /** Asks the broker; null when no answer came within 15 s. */
  call(serve: Mortal, method: string, path: string, options?: Omit<CallOptions, 'token'>): Promise<Answer | null>
}

/** A pipeline run of its own repository. The token was signed a while ago, so that a clock set back still takes it. */
export async function createWorkload(ground: Ground, book: Book, n: number): Promise<Workload> {
  const iat = Math.floor(Date.now() / 1000) - 120
  const token = await ground.ci.sign({
    aud: ground.issuer,
    sub: `repo:acme/web-${n}:ref:refs/heads/main`,
    repository: `acme/web-${n}`,
    repository_id: `${9000 + n}`,
    repository_owner_id: '65',
    ref: 'refs/heads/main',
    ref_type: 'branch',
    event_name: 'push',
    run_id: `${n}`,
    run_attempt: '1',
    iat,
    exp: iat + 7200,
  })
  return {
    account: `ci:${9000 + n}`,
    call: (serve, method, path, options = {}) => callCounted(book, serve, method, path, { ...options, token }),
  }
}

async function callCounted(book: Book, serve: Mortal, method: string, path: string, options: CallOptions) {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), 15_000)
  })
  const answer = await Promise.race([call(serve.url, method, path, options).catch(() => null), late])
  clearTimeout(timer)
  countOne(book.answers, answer === null ? 'none' : nameOf(answer))
  if (answer !== null && answer.status === 500)
    book.wrong.push({ check: 'broken', what: `${serve.title}: ${method} ${path}: ${answer.text}` })
  return answer
}

/** Nothing that is asked here is malformed: a 400 is shown with what it says. */
function nameOf({ status, body }: Answer): string {
  return [status, body.code, status === 400 ? JSON.stringify(body.errors ?? body.detail) : undefined]
    .filter((part) => part !== undefined)
    .join(' ')
}

export interface LoadOptions {
  readonly seed: number
  readonly callers: number
  /** Whether secrets of Vault are asked for too, beside its tokens. */
  readonly secrets: boolean
  isOver(): boolean
}

export async function runLoad(ground: Ground, book: Book, options: LoadOptions): Promise<void> {
  const { seed, callers, isOver } = options
  await Promise.all([
    ...Array.from({ length: callers }, async (_, n) => {
      const workload = await createWorkload(ground, book, n)
      const random = createRandom(seed, `caller ${n}`)
      const choices: [Asked, ...Asked[]] = [tokens, tokens, offline, vault, vault, ...(options.secrets ? [secret] : [])]
      while (!isOver()) await workOnce(ground, book, workload, random, random.chance(0.15) ? null : choices)
    }),
    operate(ground, book, createRandom(seed, 'operator'), options),
  ])
}

/** One that is up where there is one, as a load balancer would choose. */
function serveOf({ serves }: Ground, random: Random): Mortal {
  const chosen = random.chance(0.5) ? 0 : 1
  return serves[chosen].isUp() ? serves[chosen] : serves[chosen === 0 ? 1 : 0]
}

/** One task; `choices` null: of the cloud's, whose credentials live a minute at least. */
async function workOnce(
  ground: Ground,
  book: Book,
  workload: Workload,
  random: Random,
  choices: [Asked, ...Asked[]] | null,
): Promise<void> {
  const taskSeconds = choices === null ? 90 : Math.floor(random.between(4, 12))
  const opened = await openTask(workload, serveOf(ground, random), book, taskSeconds)
  if (opened === null) return await pause(200)
  for (let left = Math.floor(random.between(1, 5)); left > 0; left--) {
    const asked = choices === null ? awsAt(random) : random.pick(choices)
    const ttl = Math.floor(isAws(asked) ? random.between(60, 76) : random.between(2, 9))
    const lease = await ask(ground, book, workload, random, { task: opened, asked, ttl })
    if (lease !== null && random.chance(0.3)) await release(ground, book, workload, random, lease)
    await pause(random.between(0, 60))
  }
  // The cloud's are always given back: a minute is longer than a short soak.
  if (choices !== null && random.chance(0.4)) return
  const wait = random.chance(0.3) ? 1 : 0
  await workload.call(serveOf(ground, random), 'POST', `/v1/tasks/${opened}/complete?wait_seconds=${wait}`, {
    body: {},
  })
}

export async function openTask(workload: Workload, serve: Mortal, book: Book, seconds: number): Promise<string | null> {
  const body = { purpose: 'a soak', ttl_seconds: seconds }
  const answer = await workload.call(serve, 'POST', '/v1/tasks', { body })
  if (answer?.status !== 201) return null
  const { id } = answer.body.task as { id: string }
  book.tasks.add(id)
  return id
}

/** With a key; where no answer came or a 503, half of the callers ask again with the same one, at either broker. */
async function ask(
  ground: Ground,
  book: Book,
  workload: Workload,
  random: Random,
  wanted: { task: string; asked: Asked; ttl: number },
): Promise<string | null> {
  const key = randomUUID()
  const given: string[] = []
  for (let tries = 1; tries <= 3; tries++) {
    const answer = await askOnce(workload, serveOf(ground, random), wanted, key)
    if (answer?.status === 201) given.push(noteHanded(book, answer, wanted.asked))
    const again = answer === null || answer.status === 503 || answer.status === 201
    if (!again || random.chance(answer?.status === 201 ? 0.95 : 0.5)) break
    await pause(random.between(0, 300))
  }
  if (given.length > 1) book.wrong.push({ check: 'twice', what: `one key, ${given.length} credentials: ${given}` })
  return given[0] ?? null
}

export function askOnce(
  workload: Workload,
  serve: Mortal,
  { task, asked, ttl }: { task: string; asked: Asked; ttl: number },
  key = randomUUID(),
): Promise<Answer | null> {
  const options = { body: { ...asked, ttl_seconds: ttl }, headers: { 'idempotency-key': key } }
  return workload.call(serve, 'POST', `/v1/tasks/${task}/credentials`, options)
}

/** The lease's id. A second credential for a lease is written down. */
export function noteHanded(book: Book, { body }: Answer, { action }: Asked): string {
  const credential = body.credential as Record<string, unknown>
  const lease = body.lease as { id: string; expires_at: string }
  const data = (credential.data ?? {}) as { password?: string }
  const text = String(credential.token ?? credential.session_token ?? data.password)
  if (book.handed.has(lease.id)) book.wrong.push({ check: 'twice', what: `${lease.id} was handed out twice` })
  book.handed.set(lease.id, { lease: lease.id, action, secret: text, expiresAt: Date.parse(lease.expires_at) })
  return lease.id
}

async function release(ground: Ground, book: Book, workload: Workload, random: Random, lease: string): Promise<void> {
  const answer = await workload.call(serveOf(ground, random), 'DELETE', `/v1/leases/${lease}`)
  const receipt = answer?.body.receipt as { outcome?: string } | undefined
  if (receipt?.outcome === 'confirmed' && !book.confirmed.has(lease)) book.confirmed.set(lease, Date.now())
}

/** Orders over an account, an action or a provider, some with a lock before them. */
async function operate(ground: Ground, book: Book, random: Random, { callers, isOver }: LoadOptions): Promise<void> {
  for (;;) {
    await pauseUnless(isOver, random.between(2000, 6000))
    if (isOver()) return
    const target = random.pick<object>([
      { account: `ci:${9000 + Math.floor(random.between(0, callers))}` },
      { action: 'config.read' },
      { provider: 'aws' },
      { where: { action: 'report.read' } },
    ])
    // A filter cannot be locked.
    const lock = random.chance(0.3) && !('where' in target) ? { lock_seconds: 2 } : {}
    await order(ground, book, serveOf(ground, random), { target, reason: 'a soak', ...lock })
  }
}

export async function order(ground: Ground, book: Book, serve: Mortal, body: object): Promise<Answer | null> {
  const claims = { sub: 'olga', aud: 'hallpass-operators', email: 'olga@acme.example', groups: ['sre'] }
  const token = await ground.staff.sign({ ...claims, iat: Math.floor(Date.now() / 1000) - 120 })
  return await callCounted(book, serve, 'POST', '/v1/revocations', { token, body })
}
