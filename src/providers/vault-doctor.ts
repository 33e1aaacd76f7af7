// For `doctor`: is this Vault there, does it let us in, and did its operator give us what we need and no more?
import { ProviderError } from './provider.js'
import { isSuccess, says, tokenAnswer } from './vault-answers.js'
import type { VaultListing } from './vault-list.js'
import { readClusterId, type VaultParts } from './vault-parts.js'
import type { VaultAnswer } from './vault-transport.js'

// Nothing has this name, so whoever grants it grants anything.
const policyThatNobodyMayHave = 'hallpass-doctor-must-be-refused'

/** What is wrong, each with what to do. Empty when all is well. Changes nothing at Vault that outlives a second. */
export async function diagnoseVault(name: string, vault: VaultParts, leasePaths: Iterable<string>): Promise<string[]> {
  const again = `run \`hallpass provider setup ${name}\` and apply what it prints`
  const unreachable = await firstProblem(() => readClusterId(vault))
  if (unreachable) return [`${unreachable}; check address ${vault.config.address}, its network and \`ca\``]
  const refused = await firstProblem(() => vault.login.check())
  if (refused) return [`${refused}; check \`auth\` of the provider, or ${again}`]
  const unknownToken = await checkOwnToken(vault).catch(textOf)
  if (unknownToken !== null) return [`${unknownToken}; check \`auth\` of the provider, or ${again}`]
  const problems = await Promise.all([
    checkAllowed(vault, 'auth/token/lookup-accessor', { accessor: policyThatNobodyMayHave }),
    checkAllowed(vault, 'auth/token/revoke-accessor', { accessor: policyThatNobodyMayHave }),
    ...[...leasePaths].map((path) => checkAllowed(vault, 'sys/leases/lookup', { lease_id: `${path}/none` })),
    checkTokenRole(vault),
    checkNamespace(vault),
  ]).catch((error: unknown) => [textOf(error)])
  return problems.flatMap((problem) => (problem === null ? [] : [`${problem}; ${again}`]))
}

/** The right to look for orphans is wide, so not to have it is no problem. */
export async function noteOnOrphans(name: string, listing: VaultListing): Promise<string[]> {
  if (await listing.isAllowed()) return ['orphans are looked for']
  const how = `see the comment in the policy that \`hallpass provider setup ${name}\` prints`
  return [`orphans are not looked for: Hallpass may not list auth/token/accessors (optional; ${how})`]
}

async function checkAllowed(
  vault: VaultParts,
  path: string,
  body: { accessor: string } | { lease_id: string },
): Promise<string | null> {
  const answer = await post(vault, path, body)
  if (answer.status !== 403) return null
  const about = 'lease_id' in body ? ` for ${body.lease_id.replace(/\/none$/, '/*')}` : ''
  return `Hallpass's policy does not allow ${path}${about}: leases could not be ended or looked after`
}

/** Asks for what must be refused. That needs no right to read the role, so least privilege stays least. */
async function checkTokenRole(vault: VaultParts): Promise<string | null> {
  const role = vault.config.token_role
  const path = `auth/token/create/${role}`
  const body = { policies: [policyThatNobodyMayHave], ttl: '1s', explicit_max_ttl: '1s', num_uses: 1 }
  const answer = await post(vault, path, body)
  if (isSuccess(answer)) {
    const created = tokenAnswer.safeParse(answer.body)
    if (created.success) await post(vault, 'auth/token/revoke-accessor', { accessor: created.data.auth.accessor })
    return `the token role ${role} hands out any policy: give it allowed_policies, without a glob`
  }
  if (says(answer, "must be subset of the role's allowed policies")) return null
  // Then what it hands out is bounded by our own policies alone: a lease could get what Hallpass itself may do.
  if (says(answer, 'must be subset of parent')) return `the token role ${role} has no allowed_policies`
  if (answer.status === 403) return `Hallpass's policy does not allow ${path}: no lease can be issued`
  return `the token role ${role} cannot be used (${answer.status}): it is missing, or allows no policy`
}

/** A token from a file was never tried before this. */
async function checkOwnToken(vault: VaultParts): Promise<string | null> {
  const answer = await lookUpSelf(vault)
  return isSuccess(answer)
    ? null
    : `Vault does not know our token, or its policy lacks auth/token/lookup-self (${answer.status})`
}

/** Community editions ignore the header in silence, and would mint in the wrong place. */
async function checkNamespace(vault: VaultParts): Promise<string | null> {
  const { namespace } = vault.config
  if (namespace === undefined) return null
  const text = JSON.stringify((await lookUpSelf(vault)).body)
  return text.includes('"namespace_path"')
    ? null
    : `this Vault has no namespaces, yet \`namespace: ${namespace}\` is set`
}

function lookUpSelf(vault: VaultParts): Promise<VaultAnswer> {
  const { namespace, timeout } = vault.config
  return vault.login.send({ method: 'GET', path: 'auth/token/lookup-self', namespace, timeoutMs: timeout * 1000 })
}

function post(
  vault: VaultParts,
  path: string,
  body: { [member: string]: string | number | string[] },
): Promise<VaultAnswer> {
  const { namespace, timeout } = vault.config
  return vault.login.send({ method: 'POST', path, body, namespace, timeoutMs: timeout * 1000 })
}

async function firstProblem(look: () => Promise<unknown>): Promise<string | null> {
  return look().then(() => null, textOf)
}

function textOf(error: unknown): string {
  if (error instanceof ProviderError) return error.message
  throw error
}
