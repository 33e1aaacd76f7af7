// The story that the demo tells: what an agent, a CI step and an operator each do, what they get, and how it ends.
import { fileURLToPath } from 'node:url'
import { peopleAgree, subAgentGetsLess } from './approve-and-delegate.js'
import { ask, type Borrowed, borrow, completeTask, openTask } from './borrow.js'
import { type AwsCredential, isAllowed, sessionNameOf } from './cloud.js'
import { eventually, expectAnswer, expectRefused, expectTrue, textAt } from './expectations.js'
import type { Narrator } from './narrator.js'
import type { World } from './world.js'

const orders = 'database:orders'
const web = 'repo:acme/web'

/** Throws at the first claim that does not hold. */
export async function tellStory(world: World, narrator: Narrator): Promise<void> {
  await agentReadsTheOrders(world, narrator)
  await refusals(world, narrator)
  await pipelineChangesAndDeploys(world, narrator)
  await peopleAgree(world, narrator)
  await subAgentGetsLess(world, narrator)
  await operatorEndsAnAwsSession(world, narrator)
  await oneIsLeftToExpire(world, narrator)
  await whatHappenedCanBeShown(world, narrator)
}

async function agentReadsTheOrders(world: World, { chapter, claim }: Narrator): Promise<void> {
  const { database } = world.servers.vault
  chapter(
    'An agent looks at the orders',
    'It holds no password: its JWT-SVID says that it is /agent/ana/coder, and buys one.',
  )
  const token = await world.identities.agent()
  const task = await openTask(world, token, 'find out why order 1 is late')
  let bought: Borrowed | null = null
  await claim('database.query on database:orders, inside a task', async () => {
    bought = await borrow(world, token, task, { action: 'database.query', resource: orders })
    return bought.seen
  })
  const user = userOf(bought)
  const session = await database.login(user)
  await claim(`logs in as ${user.username.slice(0, 22)}… and reads`, () => session.read())
  if (database.real) {
    await claim('the same user tries to write', () => expectRefused(() => session.write(), /permission denied/))
  }
  await claim('completes the task', () => completeTask(world, task))
  if (database.real) {
    await claim('its open session is ended', async () => expectTrue(await session.hasEnded(), 'by the server'))
  }
  await claim('the same user name and password again', () => expectRefused(() => database.login(user), /./))
  await session.close()
}

async function refusals(world: World, { chapter, claim }: Narrator): Promise<void> {
  const { identities } = world
  chapter(
    'What is refused, and how',
    'Each with a status and a stable code; nothing is minted, and each is in the audit.',
  )
  const open = { body: { purpose: 'to be refused' } }
  await claim('a token meant for somebody else', async () => {
    const token = await identities.agent(undefined, 'https://other.acme.example')
    return expectAnswer(await world.call('POST', '/v1/tasks', { token, ...open }), 401, 'invalid_token')
  })
  await claim('a token of an issuer that nobody configured', async () => {
    const token = await identities.stranger()
    return expectAnswer(await world.call('POST', '/v1/tasks', { token, ...open }), 401, 'invalid_token')
  })
  const token = await identities.agent()
  const task = await openTask(world, token, 'ask for too much')
  await claim('an agent that may read asks to write', async () => {
    const wanted = { action: 'database.migrate', resource: orders, context: { change_type: 'data' } }
    return expectAnswer(await ask(world, token, task, wanted), 403, 'denied', 'no_permit')
  })
  await claim('a resource that is not configured', async () => {
    const wanted = { action: 'database.query', resource: 'database:payroll' }
    return expectAnswer(await ask(world, token, task, wanted), 404, 'unknown_resource')
  })
}

async function pipelineChangesAndDeploys(world: World, { chapter, claim }: Narrator): Promise<void> {
  const { identities, servers, deploy } = world
  chapter(
    'A CI step changes the database; another deploys',
    'Who they are: the GitHub Actions tokens of runs 100 and 101 of acme/web.',
  )
  const token = await identities.ci('100')
  const task = await openTask(world, token, 'migration 42')
  let bought: Borrowed | null = null
  await claim('run 100: database.migrate, change_type schema', async () => {
    const wanted = { action: 'database.migrate', resource: orders, context: { change_type: 'schema' } }
    bought = await borrow(world, token, task, wanted)
    return bought.seen
  })
  const session = await servers.vault.database.login(userOf(bought))
  await claim('run 100: writes with it', () => session.write())
  await claim('run 100: completes the task', () => completeTask(world, task))
  await session.close()
  await claim('run 100: asks deploy.run in a new task', async () => {
    const next = await openTask(world, token, 'deploy at once')
    return expectAnswer(
      await ask(world, token, next, { action: 'deploy.run', resource: web }),
      403,
      'denied',
      'forbidden',
    )
  })
  await claim('run 101: hallpass exec --action deploy.run … -- deploy', async () => {
    const step = fileURLToPath(new URL('deploy-step.js', import.meta.url))
    const args = ['exec', '--action', 'deploy.run', '--resource', web, '--settle', '20s', '--', process.execPath, step]
    const { code, stdout, output } = await world.run(args, await identities.ci('101'), { DEPLOY_SERVICE: deploy.url })
    if (code !== 0 || !stdout.startsWith('deployed')) throw new Error(`exit code ${code}: ${output}`)
    return stdout.trim()
  })
  await claim('the deploy service is shown the same token again', async () => {
    const again = await fetch(deploy.url, { headers: { authorization: `Bearer ${deploy.lastToken()}` } })
    return expectTrue(again.status === 401, `${again.status} ${(await again.text()).trim()}`)
  })
}

async function operatorEndsAnAwsSession(world: World, { chapter, claim }: Narrator): Promise<void> {
  const { identities, servers } = world
  const { endpoint } = servers.sts
  chapter(
    'An operator ends what another holds',
    'The agent has an AWS session; Olga, on call, has a reason and one command.',
  )
  const token = await identities.agent()
  const task = await openTask(world, token, 'monthly report')
  const bought = await borrow(world, token, task, { action: 'object.read', resource: 'bucket:reports' })
  const credential = bought.credential as unknown as AwsCredential
  let session = ''
  await claim('the agent asks STS who it is', async () => {
    session = await sessionNameOf(endpoint, credential)
    return expectTrue(session.includes(bought.lease), `the session of ${bought.lease.slice(0, 16)}…`)
  })
  await claim('IAM on s3:GetObject; on s3:PutObject, which its role may', async () => {
    const [read, write] = [
      await isAllowed(endpoint, session, 's3:GetObject'),
      await isAllowed(endpoint, session, 's3:PutObject'),
    ]
    return expectTrue(read && !write, `${read ? 'allowed' : 'denied'}, ${write ? 'allowed' : 'denied'}`)
  })
  await claim('a workload orders a revocation itself', async () => {
    const body = { target: { lease: bought.lease }, reason: 'mine' }
    return expectAnswer(await world.call('POST', '/v1/revocations', { token, body }), 403, 'not_permitted')
  })
  await claim('hallpass revoke lease … --reason "laptop stolen" --wait', async () => {
    const args = ['revoke', 'lease', bought.lease, '--reason', 'laptop stolen', '--wait', '--output', 'json']
    const { code, stdout, output } = await world.run(args, await identities.operator())
    const order = JSON.parse(stdout || '{}') as { done: number; receipts?: { outcome: string }[] }
    const outcome = order.receipts?.[0]?.outcome
    if (code !== 0 || outcome !== 'confirmed') throw new Error(`exit code ${code}: ${output}`)
    return `${order.done} done, receipt: ${outcome}`
  })
  await claim('IAM on s3:GetObject, with the same credential', async () =>
    expectTrue(!(await isAllowed(endpoint, session, 's3:GetObject')), 'denied'),
  )
}

async function oneIsLeftToExpire(world: World, { chapter, claim }: Narrator): Promise<void> {
  const { address } = world.servers.vault
  chapter('One is left to expire', 'A Vault token for 12 seconds, which nobody gives back.')
  const token = await world.identities.agent()
  const task = await openTask(world, token, 'read a setting and crash')
  const { lease, credential, seen } = await borrow(world, token, task, {
    action: 'config.read',
    resource: orders,
    // Long enough to be seen alive on a machine that stands still for a moment.
    ttl_seconds: 12,
  })
  const read = async () => {
    const headers = { 'x-vault-token': textAt(credential, 'token') }
    return (await fetch(`${address}/v1/secret/data/settings`, { headers })).status
  }
  await claim('Vault answers it', async () => expectTrue((await read()) === 200, `200; ${seen.replace('201, ', '')}`))
  const boughtAt = Date.now()
  await claim('Vault refuses it, and nobody did anything', async () => {
    const status = await eventually('Vault refuses the token', 60, async () => {
      const answered = await read()
      return answered === 403 ? answered : null
    })
    return `${status} after ${((Date.now() - boughtAt) / 1000).toFixed(1)} s`
  })
  await claim('Hallpass knows it', async () => {
    return await eventually('the lease is ended', 60, async () => {
      const { body } = await world.call('GET', `/v1/leases/${lease}`, { token: task.token })
      return body.state === 'expired' ? `lease expired, receipt: ${textAt(body, 'receipt', 'outcome')}` : null
    })
  })
}

async function whatHappenedCanBeShown(world: World, { chapter, claim }: Narrator): Promise<void> {
  chapter(
    'What happened can be shown',
    'Two hash chains of fsynced JSON lines with signed checkpoints, one per program.',
  )
  await claim('hallpass audit verify', async () => {
    const { code, stdout, output } = await world.run(['audit', 'verify', '--output', 'json'])
    const result = JSON.parse(stdout || '{}') as { ok: boolean; chains: number; records: number }
    if (code !== 0 || !result.ok || result.records < 30) throw new Error(`exit code ${code}: ${output}`)
    return `intact: ${result.records} records in ${result.chains} chains`
  })
  await claim('hallpass audit replay: every decision, made again', async () => {
    const { code, stdout, output } = await world.run(['audit', 'replay', '--output', 'json'])
    const { decisions = 0, equal = -1 } = JSON.parse(stdout || '{}') as { decisions?: number; equal?: number }
    if (code !== 0 || decisions < 10 || equal !== decisions) throw new Error(`exit code ${code}: ${output}`)
    return `${equal} of ${decisions} equal`
  })
  await claim('no lease is live', async () => {
    const { body } = await world.call('GET', '/v1/leases?state=live', { token: await world.identities.operator() })
    return expectTrue(Array.isArray(body.leases) && body.leases.length === 0, 'every credential is accounted for')
  })
}

function userOf(bought: Borrowed | null): { username: string; password: string } {
  const data = bought?.credential.data
  return { username: textAt(data, 'username'), password: textAt(data, 'password') }
}
