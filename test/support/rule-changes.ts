// What the tests of changed rules have in common: a story with groups and a second issuer, edits by text, and the way an
// operator's change goes: written, loaded, told to the ledger, judged.
import { type Redecided, redecide } from '../../src/broker/redecide.js'
import type { TestBroker } from './broker.js'
import { type Story, startStory } from './story.js'
import type { RulesEdit } from './story-config.js'

export const replacing = (from: string, to: string) => (text: string) => {
  if (!text.includes(from)) throw new Error(`nothing to replace: ${from}`)
  return text.replace(from, to)
}

export const config = (from: string, to: string): RulesEdit => ({ config: replacing(from, to) })
export const addPolicy = (more: string): RulesEdit => ({ policies: (text) => `${text}\n${more}` })
export const removePolicy = (less: string): RulesEdit => ({ policies: replacing(less, '') })

export const teamDeploys = `@id("team-deploys")
permit (principal in Group::"deployers", action == Action::"deploy.run", resource);`
export const labReads = `@id("lab-reads")
permit (principal in Issuer::"lab", action == Action::"repo.read", resource);`
const criticalIsClosed = `@id("critical-is-closed")
forbid (principal, action == Action::"repo.write", resource)
when { resource has sensitivity && resource.sensitivity == "critical" };`

/** Deploying is the group's alone; `lab` may read. */
export const ground: RulesEdit = {
  config: (text) =>
    replacing(
      'issuers:\n',
      `groups: { deployers: ["ci:gina", "ci:gus"] }
issuers:
  lab: { type: oidc, issuer: "http://127.0.0.1:9/lab", audience: lab }
`,
    )(
      replacing(
        'audience: "http://127.0.0.1:8799" }',
        'audience: "http://127.0.0.1:8799", attributes: { ref: { claim: ref, type: string } } }',
      )(text),
    ),
  policies: (text) =>
    `${replacing('Action::"deploy", ', '')(text)}\n${teamDeploys}\n${labReads}\n${criticalIsClosed}\n`,
}

/** A program takes the change, and says so. */
export async function load(story: Story, edit: RulesEdit, broker: TestBroker = story.broker, name = 'one') {
  const rules = await broker.changeRules(edit)
  await story.parts.ledger.adoptRules(name, rules.hash)
  return rules
}

/** The same, and all live leases are judged. */
export async function change(story: Story, edit: RulesEdit): Promise<Redecided | null> {
  await load(story, edit)
  return await redecide(story.parts)
}

export async function startChangeStory(): Promise<Story> {
  const story = await startStory()
  await change(story, ground)
  return story
}

/** Its end is ordered on account of the change, the record says why and by which policy, and it dies at the provider. */
export async function outcomeOf(story: Story, lease: string) {
  const { state, endReason } = await story.lease(lease)
  const records = await story.recordsOf(lease)
  const said = records.find((record) => record.event === 'lease.redecided')
  const ending = records.find((record) => record.event === 'lease.ending')
  return { state, endReason, reason: said?.reason, policies: said?.policies, ordered: ending?.reason }
}

export const ended = (reason: string, policies: string[] = []) => ({
  state: 'revoking',
  endReason: 'policy_changed',
  reason,
  policies,
  ordered: 'policy_changed',
})
export const stands = { state: 'active', endReason: null, reason: undefined, policies: undefined, ordered: undefined }

/** As if the changes so far had been eleven minutes ago: the brake counts them together with the next ones no more. */
export async function letChangesAge({ at: { raw, tag } }: Story): Promise<void> {
  const [lately, endedAt] = await raw.hmget(`${tag}rules`, 'lately', 'ended_at')
  const aged = (lately ?? '').replace(/\d+(?=:)/g, (time) => `${Number(time) - 660_000}`)
  await raw.hset(`${tag}rules`, 'lately', aged)
  if (endedAt != null) await raw.hset(`${tag}rules`, 'ended_at', Number(endedAt) - 660_000)
}
