// The stories' stage with actions that people have to agree to, and the people.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { answerApproval } from '../../src/broker/answer-approval.js'
import { ApprovalWanted } from '../../src/broker/ask-approval.js'
import { exchange } from '../../src/broker/exchange.js'
import type { Caller, Parts } from '../../src/broker/parts.js'
import { type LoadedConfig, loadConfig } from '../../src/config/load.js'
import type { Principal } from '../../src/identity/principal.js'
import type { Approval } from '../../src/ledger/approval.js'
import type { Task } from '../../src/ledger/task.js'
import { asking, type Story } from './story.js'
import { anOperator, loadStoryRules } from './story-config.js'

const recipe = 'recipe: { audience: "https://api.test", verified_by: introspection }'
const grants = `
  ship.run: { access: admin, resource: repo, provider: far, ttl: { default: 60s, max: 10m }, ${recipe}, context: { note: { type: string, optional: true } } }
  ship.both: { access: admin, resource: repo, provider: far, ttl: { default: 60s, max: 10m }, ${recipe}, require: { approval: "security:1" } }
  ship.soon: { access: admin, resource: repo, provider: far, ttl: { default: 60s, max: 10m }, ${recipe} }
  ship.task: { access: admin, resource: repo, provider: far, ttl: { default: 60s, max: 10m }, recipe: { audience: "https://api.test", scope: ["ship:\${task.id}"], verified_by: introspection } }
  ship.unsure: { access: admin, resource: repo, provider: far, ttl: { default: 60s, max: 10m }, ${recipe} }
`
const groups = `
groups:
  release: ["staff:olga", "staff:pete", "staff:rosa", "second:olga"]
  security: ["staff:pete", "staff:sam"]
  interns: ["staff:ivan"]
`
export const shipPolicies = `
@id("read-write-deploy")
permit (principal in Issuer::"ci", action in [Action::"read", Action::"write", Action::"deploy"], resource);

@id("ship") @approval("release:2") @max_ttl("5m")
permit (principal in Issuer::"ci", action == Action::"ship.run", resource);

@id("ship-both") @approval("release:1")
permit (principal in Issuer::"ci", action == Action::"ship.both", resource);

@id("ship-soon") @approval("release:1") @approval_timeout("5m")
permit (principal in Issuer::"ci", action == Action::"ship.soon", resource);

@id("ship-task") @approval("release:1")
permit (principal in Issuer::"ci", action == Action::"ship.task", resource);

@id("ship-unsure") @approval("release:1")
permit (principal in Issuer::"ci", action == Action::"ship.unsure", resource);

@id("not-while-reading")
forbid (principal in Issuer::"ci", action == Action::"ship.unsure", resource)
when { context.account.holding.contains("repo.read") && context has approval };

@id("release-approves")
permit (principal in Group::"release", action in [Action::"operate.approve", Action::"operate.view"], resource);

@id("security-approves")
permit (principal in Group::"security", action == Action::"operate.approve", resource);

@id("interns-try")
permit (principal in Group::"interns", action == Action::"operate.approve", resource);
`

/** Rules for `startTestBroker`; `change` is given the configuration and the policies. */
export const shipRules =
  (change = (text: { config: string; policies: string }) => text) =>
  async (folder: string, limits: string): Promise<LoadedConfig> => {
    await loadStoryRules(folder, limits)
    const file = join(folder, 'hallpass.yaml')
    const second = '  second: { type: oidc, use: operator, issuer: "http://127.0.0.1:9/second", audience: staff }\n'
    const written = await readFile(file, 'utf8')
    const config = `${written.replace('resources:\n', `${second}resources:\n`).replace('\ngrants:', `\ngrants:${grants}`)}${groups}`
    const changed = change({ config, policies: shipPolicies })
    await writeFile(file, changed.config)
    await writeFile(join(folder, 'policies', 'main.cedar'), changed.policies)
    const env = { TEST_REDIS: 'redis://127.0.0.1:1', TEST_SEALING: Buffer.alloc(32, 7).toString('base64') }
    return await loadConfig(file, env)
  }

export function aPerson(name: string, over: Partial<Principal> = {}): Caller {
  const issuer = over.issuer ?? 'staff'
  const who = { id: `${issuer}:${name}`, issuer, subject: name, person: `${name}@acme.example` }
  return { principal: { ...anOperator(), ...who, ...over }, requestId: `req_${name}` }
}

export const shipping = (over: Parameters<typeof asking>[0] = {}) => asking({ action: 'ship.run', ...over })

/** The approval that a request has to wait for. */
export async function wantedBy(work: Promise<unknown>): Promise<Approval> {
  try {
    await work
  } catch (error) {
    if (error instanceof ApprovalWanted) return error.approval
    throw error
  }
  throw new Error('nobody has to agree to it')
}

export const ask = (story: Story, caller: Caller, task: Task, over: Parameters<typeof asking>[0] = {}) =>
  wantedBy(story.buy(caller, task, shipping(over)))

export async function answer(
  story: Pick<Story, 'parts'>,
  id: string,
  who: Caller,
  vote: 'approve' | 'deny' = 'approve',
) {
  const found = await story.parts.ledger.findApproval(id)
  if (!found) throw new Error(`no approval ${id}`)
  return await answerApproval(story.parts, who, found, { vote, reason: `${who.principal.subject} says so` })
}

/** A new caller's request, approved by two of the group. */
export async function approved(story: Story, over: Parameters<typeof asking>[0] = {}) {
  const caller = story.caller()
  const task = await story.task(caller)
  const { id } = await ask(story, caller, task, over)
  await answer(story, id, aPerson('olga'))
  const approval = await answer(story, id, aPerson('rosa'))
  return { caller, task, id, approval }
}

/** The request once more, with the approval that it was given. */
export const repeat = (parts: Parts, { caller, task, id }: Awaited<ReturnType<typeof approved>>, over = {}) =>
  exchange(parts, caller, task.id, shipping({ approval_id: id, ...over }), null)
