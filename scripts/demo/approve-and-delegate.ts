// Two chapters of the story: power that people have to agree to, and power that is handed on.
import { ask, borrow, completeTask, openTask } from './borrow.js'
import { eventually, expectAnswer, expectTrue, textAt } from './expectations.js'
import type { Narrator } from './narrator.js'
import type { World } from './world.js'

const orders = 'database:orders'

export async function peopleAgree(world: World, { chapter, claim }: Narrator): Promise<void> {
  chapter('People agree first', 'Run 102 wants to change data, not the schema: the policy has @approval("on-call:1").')
  const token = await world.identities.ci('102')
  const task = await openTask(world, token, 'correct order 1')
  const wanted = { action: 'database.migrate', resource: orders, context: { change_type: 'data' } }
  let approval = ''
  await claim('run 102: database.migrate, change_type data', async () => {
    const answer = await ask(world, token, task, wanted)
    approval = textAt(answer.body, 'approval', 'id')
    return `${expectAnswer(answer, 202)}, an approval is asked for`
  })
  await claim('hallpass approve … --reason "OPS-7"', async () => {
    const args = ['approve', approval, '--reason', 'OPS-7', '--output', 'json']
    const { code, stdout, output } = await world.run(args, await world.identities.operator())
    const { state } = JSON.parse(stdout || '{}') as { state?: string }
    if (code !== 0 || state !== 'approved') throw new Error(`exit code ${code}: ${output}`)
    return 'approved, by Olga'
  })
  await claim('run 102: another value with that approval', async () => {
    const other = { ...wanted, context: { change_type: 'schema' }, approval_id: approval }
    return expectAnswer(await ask(world, token, task, other), 403, 'approval_required')
  })
  await claim(
    'run 102: the same request with that approval',
    async () => (await borrow(world, token, task, { ...wanted, approval_id: approval })).seen,
  )
  await claim('run 102: once more with that approval', async () =>
    expectAnswer(await ask(world, token, task, { ...wanted, approval_id: approval }), 409, 'already_issued'),
  )
  await claim('completes the task', () => completeTask(world, task))
}

export async function subAgentGetsLess(world: World, { chapter, claim }: Narrator): Promise<void> {
  const { address } = world.servers.vault
  chapter('An agent hands on less than it has', 'Its sub-agent has no identity: a token for one task, with a ceiling.')
  const token = await world.identities.agent()
  const task = await openTask(world, token, 'review, with some help')
  const ceiling = [{ action: 'config.read', resource: orders }]
  const delegated = await world.call('POST', `/v1/tasks/${task.id}/delegations`, {
    token,
    body: { agent: 'reviewer', ceiling, ttl_seconds: 300 },
  })
  expectAnswer(delegated, 201)
  const subAgent = textAt(delegated.body, 'delegation_token')
  const below = await openTask(world, subAgent, 'read the settings')
  let vaultToken = ''
  await claim('the sub-agent: config.read, which is in the ceiling', async () => {
    const { credential, seen } = await borrow(world, subAgent, below, { action: 'config.read', resource: orders })
    vaultToken = textAt(credential, 'token')
    return seen
  })
  const statusAtVault = async () =>
    (await fetch(`${address}/v1/secret/data/settings`, { headers: { 'x-vault-token': vaultToken } })).status
  await claim('the sub-agent: database.query, which only its agent may', async () => {
    const wanted = { action: 'database.query', resource: orders }
    return expectAnswer(await ask(world, subAgent, below, wanted), 403, 'denied', 'outside_ceiling')
  })
  await claim('Vault answers the sub-agent', async () => expectTrue((await statusAtVault()) === 200, '200'))
  await claim('the agent completes its own task', () => completeTask(world, task))
  await claim('Vault refuses the sub-agent', async () =>
    eventually('Vault refuses the token', 30, async () => ((await statusAtVault()) === 403 ? '403' : null)),
  )
  await claim('hallpass audit timeline: the chain as one story', async () => {
    const { code, stdout, output } = await world.run(['audit', 'timeline', task.id])
    const told = [task.id, below.id, 'reviewer', 'outside_ceiling'].every((part) => stdout.includes(part))
    if (code !== 0 || !told) throw new Error(`exit code ${code}: ${output}`)
    return `${stdout.trim().split('\n').length} lines`
  })
}
